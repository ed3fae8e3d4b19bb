/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a decoder can begin with an RTP packet: the first of an intra picture, or of the parameter sets before one.
 * H.264 RFC 6184, H.265 RFC 7798, VP8 RFC 7741, VP9 RFC 9628, AV1 (AOM's RTP payload format). Only headers are read, and a
 * packet that cannot be understood begins nothing. The same in TypeScript: src/control/rtp/picture.ts; one table of packets
 * tests both. */
#ifndef FANOUT_PICTURE_H
#define FANOUT_PICTURE_H

#include "packet.h"

#define MOST_AGGREGATED 8 /* NAL units of an aggregation packet that are looked at: parameter sets come first */

#define H264_IDR 5
#define H264_SPS 7
#define H264_STAP_A 24
#define H264_FU_A 28
#define H265_BLA 16 /* 16 to 21: BLA, IDR, CRA */
#define H265_CRA 21
#define H265_VPS 32
#define H265_SPS 33
#define H265_AP 48
#define H265_FU 49
#define START_BIT 0x80 /* of FU headers; and first_mb_in_slice == 0, first_slice_segment_in_pic_flag: see below */

struct look {
	struct __sk_buff *skb;
	__u32 at;    /* offset in the frame */
	__u32 end;   /* of the RTP payload */
	__u32 codec; /* enum fanout_codec */
	bool found;
};

static __always_inline bool load(const struct look *l, __u32 at, void *to, __u32 size)
{
	return at + size <= l->end && !bpf_skb_load_bytes(l->skb, at, to, size);
}

/* `b` begins a NAL unit. A slice begins a picture when the first bit after the NAL unit header is set: the Exp-Golomb code
 * of first_mb_in_slice == 0 in H.264, a flag in H.265. */
static __always_inline bool nal_begins(__u32 codec, const __u8 *b)
{
	__u8 type;

	if (codec == FANOUT_CODEC_H264) {
		type = b[0] & 0x1f;
		return type == H264_SPS || (type == H264_IDR && b[1] & START_BIT);
	}
	type = b[0] >> 1 & 0x3f;
	return type == H265_VPS || type == H265_SPS || (type >= H265_BLA && type <= H265_CRA && b[2] & START_BIT);
}

/* One NAL unit of an aggregation packet: two bytes of size before it. */
static long look_at_aggregated(__u32 i, void *context)
{
	struct look *l = context;
	__u8 b[5];

	if (!load(l, l->at, b, sizeof(b)))
		return 1;
	if (nal_begins(l->codec, b + 2)) {
		l->found = true;
		return 1;
	}
	l->at += 2 + (b[0] << 8 | b[1]);
	return 0;
}

static __always_inline bool aggregate_begins(struct look *l, __u32 header)
{
	l->at += header;
	bpf_loop(MOST_AGGREGATED, look_at_aggregated, l, 0);
	return l->found;
}

static __always_inline bool h264_begins(struct look *l)
{
	__u8 b[3];

	if (!load(l, l->at, b, sizeof(b)))
		return false;
	switch (b[0] & 0x1f) {
	case H264_STAP_A:
		return aggregate_begins(l, 1);
	case H264_FU_A: /* the NAL unit header is spread over the first two bytes */
		b[0] = b[1] & 0x1f;
		return b[1] & START_BIT && ((b[0] == H264_IDR && b[2] & START_BIT) || b[0] == H264_SPS);
	default:
		return nal_begins(l->codec, b);
	}
}

static __always_inline bool h265_begins(struct look *l)
{
	__u8 b[4];

	if (!load(l, l->at, b, sizeof(b)))
		return false;
	switch (b[0] >> 1 & 0x3f) {
	case H265_AP:
		return aggregate_begins(l, 2);
	case H265_FU:
		if (!(b[2] & START_BIT))
			return false;
		b[0] = (b[2] & 0x3f) << 1;
		b[2] = b[3];
		return nal_begins(l->codec, b);
	default:
		return nal_begins(l->codec, b);
	}
}

/* Payload descriptor, then the payload header, whose lowest bit is 0 in a key frame. */
static __always_inline bool vp8_begins(struct look *l)
{
	__u8 b[2], key;
	__u32 header = 1;

	if (!load(l, l->at, b, sizeof(b)) || !(b[0] & 0x10) || b[0] & 0x07)
		return false; /* S: start of a partition, and that the first */
	if (b[0] & 0x80) { /* X */
		header++;
		if (b[1] & 0x80) { /* I: picture id of one byte, or two */
			__u8 id;

			if (!load(l, l->at + 2, &id, 1))
				return false;
			header += id & 0x80 ? 2 : 1;
		}
		header += b[1] & 0x40 ? 1 : 0; /* L */
		header += b[1] & 0x30 ? 1 : 0; /* T, K */
	}
	return load(l, l->at + header, &key, 1) && !(key & 1);
}

/* I P L F B E V Z: the beginning of a frame that is not predicted from others, in the lowest spatial layer. */
static __always_inline bool vp9_begins(struct look *l)
{
	__u8 b, layer;
	__u32 at = l->at + 1;

	if (!load(l, l->at, &b, 1) || !(b & 0x08) || b & 0x40)
		return false;
	if (!(b & 0x20))
		return true;
	if (b & 0x80) {
		if (!load(l, at, &layer, 1))
			return false;
		at += layer & 0x80 ? 2 : 1;
	}
	return load(l, at, &layer, 1) && !(layer >> 1 & 7);
}

/* N: the first packet of a coded video sequence. */
static __always_inline bool av1_begins(struct look *l)
{
	__u8 b;

	return load(l, l->at, &b, 1) && b & 0x08;
}

/* Length of the RTP header with CSRCs and extension (RFC 3550 5.1, 5.3.1), or 0 when it does not fit. */
static __always_inline __u32 rtp_header_length(struct __sk_buff *skb, const struct packet *p)
{
	__u32 length;
	__u8 first;
	__be16 words;

	if (bpf_skb_load_bytes(skb, p->payload_at, &first, 1))
		return 0;
	length = RTP_HEADER + (first & 0x0f) * 4;
	if (first & 0x10) {
		if (length + 4 > p->payload || bpf_skb_load_bytes(skb, p->payload_at + length + 2, &words, 2))
			return 0;
		length += 4 + bpf_ntohs(words) * 4;
	}
	return length < p->payload ? length : 0;
}

/* Of a GSO packet the first datagram counts. A global function: the verifier looks at it once, and at what follows once. */
__noinline int begins_picture(struct __sk_buff *skb, const struct fanout_stream *s, const struct packet *p)
{
	struct look l = { .skb = skb };
	__u32 header;
	__u8 type;

	if (!s || !p)
		return false; /* for the verifier */
	header = rtp_header_length(skb, p);
	l.at = p->payload_at + header;
	l.end = p->payload_at + p->segment;
	l.codec = s->codec;
	if (!header || bpf_skb_load_bytes(skb, p->payload_at + 1, &type, 1) || (type & 0x7f) != s->payload_type)
		return false;
	switch (s->codec) {
	case FANOUT_CODEC_H264:
		return h264_begins(&l);
	case FANOUT_CODEC_H265:
		return h265_begins(&l);
	case FANOUT_CODEC_VP8:
		return vp8_begins(&l);
	case FANOUT_CODEC_VP9:
		return vp9_begins(&l);
	case FANOUT_CODEC_AV1:
		return av1_begins(&l);
	default:
		return false;
	}
}

#endif
