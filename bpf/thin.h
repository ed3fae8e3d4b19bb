/* SPDX-License-Identifier: GPL-2.0-only */
/* Which packets a viewer gets that is not to have all layers, and under which sequence numbers: layering.h says what the
 * numbers mean, docs/layers.md when a viewer gets more or less. All of it under the viewer's lock, in the order of tickets;
 * asked twice about a packet, it answers the same. */
#ifndef FANOUT_THIN_H
#define FANOUT_THIN_H

#include "drop.h"
#include "rewrite.h"

#define LATE_AT_MOST 100 /* packets; less than LAYERING_RECENT */
#define SETTLED 1024     /* packets after which no late one is of before a change */

/* The one that counts for a packet: at which level, and less by how much. */
struct standing {
	__u8 level;
	__u16 base;
	bool known;
};

static __always_inline void set_level(struct fanout_viewer *v, const struct fanout_packet_layer *l, __u8 level)
{
	v->former_level = v->level;
	v->former_base = v->base;
	v->former_since = v->since;
	v->since = l->seq;
	v->base += l->above[v->level % FANOUT_LAYERS] - l->above[level % FANOUT_LAYERS];
	v->level = level;
}

/* Another numbering: from now on as its packets come. */
static __always_inline void begin_epoch(struct fanout_viewer *v, const struct fanout_packet_layer *l)
{
	v->epoch = l->epoch;
	v->base = v->former_base = -l->above[v->level % FANOUT_LAYERS];
	v->former_level = v->level;
	v->started = 0;
}

/* No change is near. */
static __always_inline void settle_level(struct fanout_viewer *v, const struct fanout_packet_layer *l)
{
	v->since = v->former_since = l->seq - SETTLED;
	v->former_level = v->level;
	v->former_base = v->base;
}

/* A picture begins, for this viewer: less may count from here on. The first does so where its first packet is seen. A change that was long ago is forgotten before its number
 * comes again. */
static __always_inline void begin_thinned_picture(struct fanout_viewer *v, const struct fanout_packet_layer *l)
{
	if (!v->started || (__u16)(l->seq - v->since) > SETTLED)
		settle_level(v, l);
	v->started = 1;
	v->picture = l->timestamp;
	v->withheld = 0;
	v->goal = v->allowance;
	if (v->goal < v->level)
		set_level(v, l, v->goal);
}

/* More may count from here on, where nothing of the picture is missing and the packet allows it. */
static __always_inline void rise(struct fanout_viewer *v, const struct fanout_packet_layer *l)
{
	__u8 to = v->goal < l->enter_to ? v->goal : l->enter_to;

	if (!v->withheld && to > v->level && v->level + 1 >= l->enter_from)
		set_level(v, l, to);
}

static __always_inline bool is_before(__u16 seq, __u16 since)
{
	return (__u16)(since - seq - 1) < LATE_AT_MOST;
}

static __always_inline struct standing standing_of(const struct fanout_viewer *v, const struct fanout_packet_layer *l)
{
	struct standing now = { .level = v->level, .base = v->base, .known = true };

	if (!v->started || !(l->flags & FANOUT_LAYER_LATE) || !is_before(l->seq, v->since))
		return now;
	now.level = v->former_level;
	now.base = v->former_base;
	now.known = !is_before(l->seq, v->former_since);
	return now;
}

/* It is left out. What stands in for an end, and is for others, is nothing that was. */
static __always_inline bool withhold(struct fanout_viewer *v, const struct fanout_packet_layer *l)
{
	if (l->flags & FANOUT_LAYER_END)
		return false;
	if (!(l->flags & FANOUT_LAYER_LATE))
		v->withheld = 1;
	v->thinned_packets++;
	v->thinned_bytes += l->bytes;
	v->thinned_octets += l->octets;
	return false;
}

/* Its number among those of this viewer is not known any more. */
static __always_inline bool give_up_copy(struct fanout_viewer *v)
{
	v->drops++;
	count_drop(FANOUT_DROP_OUT_OF_SEQUENCE);
	return false;
}

static __always_inline bool is_for(const struct fanout_viewer *v, const struct fanout_packet_layer *l, __u8 level)
{
	if (l->flags & FANOUT_LAYER_END)
		return !v->verbatim && l->lowest <= level && level < l->layer;
	return l->layer <= level;
}

/* What a sender report says too much of, for this viewer. */
static __always_inline __u32 left_out(const struct fanout_viewer *v)
{
	return v->thinned_packets - v->ends;
}

static __always_inline __u32 octets_left_out(const struct fanout_viewer *v)
{
	return v->thinned_octets - v->ends * FANOUT_END_OCTETS;
}

/* RFC 3550 6.4.1: another source, or SSRC, counts from zero. */
static __always_inline void count_anew(struct fanout_viewer *v, __u32 counting)
{
	v->counting = counting;
	v->former_packets = left_out(v);
	v->former_octets = octets_left_out(v);
}

/* Whether the viewer gets the packet, and with which start of the RTP header: its `rtp_start`. A global function, so that the
 * verifier looks at it once. */
__noinline int thin(struct fanout_viewer *v, const struct fanout_packet_layer *l)
{
	struct standing now;
	__u16 offset;

	if (!v || !l)
		return false; /* for the verifier */
	if (v->counting != l->counting)
		count_anew(v, l->counting);
	if (l->flags & FANOUT_LAYER_REPORT) {
		v->report_packets = l->report_packets - (left_out(v) - v->former_packets);
		v->report_octets = l->report_octets - (octets_left_out(v) - v->former_octets);
		return true;
	}
	v->rtp_start = RTP_START_SET | l->seq | (l->flags & FANOUT_LAYER_MARKED ? RTP_START_MARKED : 0);
	if (l->flags & FANOUT_LAYER_FOREIGN)
		return true;
	if (v->epoch != l->epoch)
		begin_epoch(v, l);
	if (!(l->flags & (FANOUT_LAYER_LATE | FANOUT_LAYER_STRAY | FANOUT_LAYER_END))) {
		if (v->started ? v->picture != l->timestamp : l->flags & FANOUT_LAYER_OPENS)
			begin_thinned_picture(v, l);
		rise(v, l);
	}
	now = standing_of(v, l);
	if (!is_for(v, l, now.level))
		return withhold(v, l);
	if (v->verbatim)
		return true;
	offset = now.base + l->above[now.level % FANOUT_LAYERS];
	if (!now.known || (offset && l->flags & FANOUT_LAYER_STRAY))
		return give_up_copy(v);
	v->rtp_start = RTP_START_SET | (__u16)(l->seq - offset) | (v->rtp_start & RTP_START_MARKED);
	if (l->flags & FANOUT_LAYER_TOP_ENDS && l->layer == now.level)
		v->rtp_start |= RTP_START_MARKED;
	return true;
}

#endif
