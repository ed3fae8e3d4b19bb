/* SPDX-License-Identifier: GPL-2.0-only */
/* Layers of H.264 SVC (RFC 6184, 6190) and H.265 (RFC 7798), from NAL unit headers. */
#ifndef FANOUT_LAYER_NAL_H
#define FANOUT_LAYER_NAL_H

#include "layer_told.h"

#define H264_PREFIX 14
#define H264_SCALABLE 20
#define H264_STAP_B 25
#define H264_MTAP16 26
#define H264_MTAP24 27
#define H264_FU_B 29
#define H264_PACSI 30
#define H264_EXTENDED 31
#define SVC_NI_MTAP 2 /* subtype of H264_EXTENDED */
#define H265_TSA 2    /* 2, 3 */
#define H265_STSA 4   /* 4, 5 */
#define H265_RADL 6   /* 6 to 9: RADL, RASL; what is below 6 is a trailing picture */
#define H265_RASL 9
#define H265_PACI 50
#define FU_END 0x40

/* ---- H.264 -------------------------------------------------------------------------------------------------- */

/* `extension` is the three bytes behind the NAL unit header. R (svc_extension_flag) is 0 in MVC, whose views are no layers. */
static __always_inline void svc_unit(struct told *t, __u8 type, const __u8 *extension)
{
	__u8 dependency = extension[1] >> 4 & 7, temporal = extension[2] >> 5;
	bool idr = type != H264_PACSI && extension[0] & 0x40;

	if (type != H264_PACSI && !(extension[0] & 0x80)) {
		t->spatial = 0;
		return;
	}
	t->notion = FANOUT_NOTION_DEPENDENCY;
	if (dependency < t->spatial)
		t->enters_spatial = ENTERS_NONE;
	if (idr && dependency <= t->spatial)
		t->enters_spatial = ENTERS_OWN;
	lowest(&t->spatial, dependency);
	lowest(&t->temporal, temporal);
}

static __always_inline bool has_extension(__u8 type)
{
	return type == H264_PREFIX || type == H264_SCALABLE || type == H264_PACSI;
}

/* A unit of `length` bytes at `at`. False: it is too short. */
static __always_inline bool h264_unit(struct layer_look *l, __u32 at, __u32 length)
{
	__u8 type, extension[3];

	if (!load(&l->at, at, &type, 1))
		return false;
	type &= 0x1f;
	if (!has_extension(type)) {
		l->told->spatial = 0;
		l->told->enters_spatial = ENTERS_NONE;
		return true;
	}
	if (length < 4 || !load(&l->at, at + 1, extension, sizeof(extension)))
		return false;
	svc_unit(l->told, type, extension);
	return true;
}

static long h264_aggregated(__u32 i, void *context)
{
	struct layer_look *l = context;
	__u32 unit = l->at.at + l->skip, length;
	__u8 b[2];

	if (l->at.at == l->at.end) {
		l->whole = true;
		return 1;
	}
	if (!load(&l->at, l->at.at, b, sizeof(b)))
		return 1;
	length = b[0] << 8 | b[1];
	if (unit + length > l->at.end || (length && !h264_unit(l, unit, length)))
		return 1;
	l->at.at = unit + length;
	return 0;
}

static __always_inline void h264_aggregate(struct layer_look *l, __u32 header, __u32 skip)
{
	l->at.at += header;
	l->skip = skip;
	bpf_loop(MOST_UNITS, h264_aggregated, l, 0);
}

/* Only the first fragment has the extension. */
static __always_inline void h264_fragment(struct layer_look *l, __u32 header)
{
	__u8 fu, extension[3];

	if (!load(&l->at, l->at.at + 1, &fu, 1))
		return;
	l->whole = true;
	if (!has_extension(fu & 0x1f)) {
		l->told->spatial = 0;
		return;
	}
	if (fu & START_BIT) {
		l->whole = load(&l->at, l->at.at + header, extension, sizeof(extension));
		if (l->whole)
			svc_unit(l->told, fu & 0x1f, extension);
	} else {
		l->told->rest = 1;
	}
	l->told->open = !(fu & FU_END);
}

static __always_inline void h264_layer(struct layer_look *l)
{
	__u8 b[2] = {};

	if (!load(&l->at, l->at.at, b, 1))
		return;
	b[0] &= 0x1f;
	l->told->interleaved = (b[0] >= H264_STAP_B && b[0] <= H264_MTAP24) || b[0] == H264_FU_B;
	if (b[0] == H264_STAP_A)
		h264_aggregate(l, 1, 2);
	else if (b[0] == H264_STAP_B)
		h264_aggregate(l, 3, 2);
	else if (b[0] == H264_MTAP16)
		h264_aggregate(l, 3, 5);
	else if (b[0] == H264_MTAP24)
		h264_aggregate(l, 3, 6);
	else if (b[0] == H264_FU_A)
		h264_fragment(l, 2);
	else if (b[0] == H264_FU_B)
		h264_fragment(l, 4);
	else if (b[0] != H264_EXTENDED)
		l->whole = h264_unit(l, l->at.at, l->at.end - l->at.at);
	else if (load(&l->at, l->at.at + 1, b + 1, 1) && b[1] >> 3 == SVC_NI_MTAP)
		h264_aggregate(l, 2, b[1] & 0x04 ? 6 : 4); /* J: with decoding order numbers */
	l->told->open_spatial = l->told->spatial;
	l->told->open_temporal = l->told->temporal;
}

/* ---- H.265 -------------------------------------------------------------------------------------------------- */

static __always_inline void h265_unit(struct told *t, __u8 type)
{
	if (type == H265_CRA) {
		t->leading = CRA_BEGINS;
	} else if (type >= H265_BLA && type < H265_CRA) {
		t->enters = ENTERS_ALL;
	} else if (type < H265_RADL) {
		t->leading = CRA_TRAILS;
		if (t->enters != ENTERS_NONE || !t->temporal)
			return;
		if (type == H265_TSA || type == H265_TSA + 1)
			t->enters = ENTERS_ON;
		else if (type == H265_STSA || type == H265_STSA + 1)
			t->enters = ENTERS_NEXT;
	}
}

static long h265_aggregated(__u32 i, void *context)
{
	struct layer_look *l = context;
	__u32 length;
	__u8 b[4];

	if (l->at.at == l->at.end) {
		l->whole = true;
		return 1;
	}
	if (!load(&l->at, l->at.at, b, sizeof(b)))
		return 1;
	length = b[0] << 8 | b[1];
	if (length < 2 || (b[3] & 7) - 1 != l->told->temporal)
		return 1; /* decoding order numbers, of which only the SDP knows; or of another layer */
	h265_unit(l->told, b[2] >> 1 & 0x3f);
	l->at.at += 2 + length;
	return l->at.at > l->at.end;
}

/* Every payload header has the (lowest) temporal id; what a packet lets enter is told by its units. */
static __always_inline void h265_layer(struct layer_look *l)
{
	__u8 b[3], type;

	if (!load(&l->at, l->at.at, b, 2) || !(b[1] & 7))
		return;
	l->whole = true;
	l->told->notion = FANOUT_NOTION_TEMPORAL;
	l->told->temporal = (b[1] & 7) - 1;
	l->told->spatial = 0;
	type = b[0] >> 1 & 0x3f;
	if (type == H265_AP) {
		l->whole = false;
		l->at.at += 2;
		bpf_loop(MOST_UNITS, h265_aggregated, l, 0);
		if (!l->whole)
			l->told->enters = l->told->leading = 0;
		l->whole = true;
	} else if (type == H265_FU) {
		if (load(&l->at, l->at.at + 2, b, 1))
			h265_unit(l->told, b[0] & 0x3f);
	} else if (type == H265_PACI) {
		if (load(&l->at, l->at.at + 2, b, 1))
			h265_unit(l->told, b[0] >> 1 & 0x3f);
	} else {
		h265_unit(l->told, type);
	}
}

#endif
