/* SPDX-License-Identifier: GPL-2.0-only */
/* What an RTP packet says of its layer: H.264 SVC RFC 6184 and 6190, H.265 RFC 7798, VP9 RFC 9628, AV1 (AOM's RTP payload
 * format). Only headers are read. A packet of several layers is of the lowest, and one that cannot be understood, to its end,
 * says nothing: it is the base's then. The same in TypeScript: src/control/rtp/layer.ts; one table of packets tests both. What
 * a layer's number means per codec is in docs/layers.md. */
#ifndef FANOUT_LAYER_H
#define FANOUT_LAYER_H

#include "layer_nal.h"
#include "layer_vpx.h"

/* RTP padding (RFC 3550 5.1) is not payload. 0: it does not fit. */
static __always_inline __u32 end_of_payload(struct __sk_buff *skb, const struct packet *p, __u32 header)
{
	__u32 end = p->payload_at + p->payload;
	__u8 first, padding;

	if (bpf_skb_load_bytes(skb, p->payload_at, &first, 1))
		return 0;
	if (!(first & 0x20))
		return end;
	if (bpf_skb_load_bytes(skb, end - 1, &padding, 1) || !padding || header + padding >= p->payload)
		return 0;
	return end - padding;
}

/* Of the RTP payload from `at` to `end`. False: it says nothing. */
static __always_inline bool tell(struct __sk_buff *skb, const struct fanout_stream *s, __u32 at, __u32 end, struct told *t)
{
	struct layer_look l = {
		.at = { .skb = skb, .at = at, .end = end, .codec = s->codec },
		.told = t,
	};

	t->spatial = t->temporal = NO_ID;
	switch (s->codec) {
	case FANOUT_CODEC_H264:
		h264_layer(&l);
		break;
	case FANOUT_CODEC_H265:
		h265_layer(&l);
		break;
	case FANOUT_CODEC_VP9:
		vp9_layer(&l);
		break;
	case FANOUT_CODEC_AV1:
		av1_layer(&l);
		break;
	}
	return l.whole;
}

#endif
