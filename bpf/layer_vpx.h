/* SPDX-License-Identifier: GPL-2.0-only */
/* Layers of VP9 (RFC 9628, from its payload descriptor) and AV1 (AOM's RTP payload format, from OBU extension headers). */
#ifndef FANOUT_LAYER_VPX_H
#define FANOUT_LAYER_VPX_H

#include "layer_told.h"

/* ---- VP9 ---------------------------------------------------------------------------------------------------- */

/* Behind layer indices: reference indices, then the scalability structure, which begins with how many spatial layers there are. */
static __always_inline bool vp9_has_layers(struct layer_look *l, __u8 flags, __u32 at)
{
	__u8 b = 1;

	if (!(flags & 0x10)) { /* F: flexible mode; else TL0PICIDX */
		at++;
	} else if (flags & 0x40) {
		for (int i = 0; i < 3 && b & 1; i++)
			if (!load(&l->at, at++, &b, 1))
				return false;
	}
	return flags & 0x02 && load(&l->at, at, &b, 1) && b >> 5;
}

/* I P L F B E V Z */
static __always_inline void vp9_layer(struct layer_look *l)
{
	__u32 at = l->at.at + 1;
	struct told *t = l->told;
	__u8 flags, b;

	if (!load(&l->at, l->at.at, &flags, 1))
		return;
	if (flags & 0x80) {
		if (!load(&l->at, at, &b, 1))
			return;
		at += b & 0x80 ? 2 : 1;
	}
	if (!(flags & 0x20) || !load(&l->at, at, &b, 1))
		return;
	l->whole = true;
	t->temporal = b >> 5;
	t->spatial = b >> 1 & 7;
	t->notion = t->spatial || vp9_has_layers(l, flags, at + 1) ? FANOUT_NOTION_SPATIAL : FANOUT_NOTION_TEMPORAL;
	t->layer_ends = flags >> 2 & 1;
	if (!(flags & 0x40)) { /* P: predicted from other pictures */
		t->enters = t->spatial ? ENTERS_NONE : ENTERS_ALL;
		t->enters_spatial = flags & 0x08 ? ENTERS_OWN : ENTERS_NONE;
	} else if (b & 0x10) { /* U */
		t->enters = ENTERS_ABOVE;
	}
}

/* ---- AV1 ---------------------------------------------------------------------------------------------------- */

/* An OBU element's size, in at most three groups of seven bits: none is longer in a packet. False: it is cut, or longer. */
static __always_inline bool av1_size(struct layer_look *l, __u32 *size)
{
	__u8 b = 0x80;

	*size = 0;
	for (int i = 0; i < 3 && b & 0x80; i++) {
		if (!load(&l->at, l->at.at++, &b, 1))
			return false;
		*size |= (b & 0x7f) << 7 * i;
	}
	return !(b & 0x80);
}

/* The OBU extension header has the ids; OBUs without are for all layers. */
static __always_inline bool av1_unit(struct layer_look *l, __u32 length)
{
	struct told *t = l->told;
	__u8 header, extension;

	t->open_spatial = t->open_temporal = 0;
	if (!load(&l->at, l->at.at, &header, 1))
		return false;
	if (!(header & 0x04)) {
		t->spatial = t->temporal = 0;
		return true;
	}
	if (length < 2 || !load(&l->at, l->at.at + 1, &extension, 1))
		return false;
	t->open_temporal = extension >> 5;
	t->open_spatial = extension >> 3 & 3;
	lowest(&t->temporal, t->open_temporal);
	lowest(&t->spatial, t->open_spatial);
	t->notion = t->notion == FANOUT_NOTION_SPATIAL || t->open_spatial ? FANOUT_NOTION_SPATIAL : FANOUT_NOTION_TEMPORAL;
	return true;
}

/* The first element goes on from a packet before where Z is set. With W not 0 the last has no size. Of what is in `l` only `at`
 * changes with the turns (loop.h). */
static long av1_element(__u32 i, void *context)
{
	struct layer_look *l = context;
	__u32 length;

	if (l->at.at == l->at.end || (l->count && i == l->count)) {
		l->whole = l->at.at == l->at.end;
		return 1;
	}
	length = l->at.end - l->at.at;
	if (i + 1 != l->count && !av1_size(l, &length))
		return 1;
	if (l->at.at + length > l->at.end)
		return 1;
	if (!i && l->told->rest)
		l->told->open_spatial = l->told->open_temporal = NO_ID; /* as those of the packet before */
	else if (length && !av1_unit(l, length))
		return 1;
	l->at.at += length;
	return 0;
}

/* Z Y W W N */
static __always_inline void av1_layer(struct layer_look *l)
{
	__u8 b;

	if (!load(&l->at, l->at.at, &b, 1))
		return;
	l->at.at++;
	l->count = b >> 4 & 3;
	l->told->rest = b >> 7;
	l->told->open = b >> 6 & 1;
	bpf_loop(MOST_UNITS, av1_element, l, 0);
	l->told->enters = l->told->enters_spatial = b & 0x08 ? ENTERS_ALL : ENTERS_NONE;
}

#endif
