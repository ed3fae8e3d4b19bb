/* SPDX-License-Identifier: GPL-2.0-only */
/* What stands in for the last packet of a picture, for viewers that do not get its layer: a packet with the same number and
 * the marker, and as little as the codec lets it have. It has a ticket of its own and is parked behind the packet.
 *
 *   H.264  a filler data NAL unit (7.3.2.7): may follow the slices, and decoders leave it out
 *   AV1    a padding OBU (5.11)
 *
 * VP9 tells the last packet of each layer, which gets the marker (FANOUT_LAYER_TOP_ENDS); an H.265 picture is of one layer. */
#ifndef FANOUT_PICTURE_END_H
#define FANOUT_PICTURE_END_H

#include "cache.h"
#include "layering.h"
#include "parked.h"

#define END_PAYLOAD FANOUT_END_OCTETS
#define END_RTP (RTP_HEADER + END_PAYLOAD)
#define END_UDP (sizeof(struct udphdr) + END_RTP)
#define H264_FILLER "\x0c\xff\xff\x80"
#define AV1_PADDING "\x10\x78\x00\x80"

/* The frame's headers are the packet's; lengths and checksums are set here. `udp` is an offset in it. */
static __always_inline void finish_end(struct fanout_parked *e, const __u32 udp, __u32 addresses)
{
	__u8 *at = &e->frame[udp];
	__u64 sum;

	*(__be16 *)(at + offsetof(struct udphdr, len)) = bpf_htons(END_UDP);
	*(__u16 *)(at + offsetof(struct udphdr, check)) = 0;
	at[sizeof(struct udphdr)] = 0x80;
	at[sizeof(struct udphdr) + 1] |= 0x80;
	sum = (__u64)addresses + sum_words((const __u32 *)at, END_UDP / 4) + bpf_htonl(END_UDP) + bpf_htonl(IPPROTO_UDP);
	*(__u16 *)(at + offsetof(struct udphdr, check)) = checksum_of(sum);
}
_Static_assert(END_UDP % 4 == 0, "finish_end");

static __always_inline int write_end_v4(struct __sk_buff *skb, struct fanout_parked *e, const void *payload)
{
	struct iphdr *ip = (void *)&e->frame[IP_OFFSET];

	if (bpf_skb_load_bytes(skb, 0, e->frame, HEADERS_V4 + RTP_HEADER))
		return -1;
	__builtin_memcpy(&e->frame[HEADERS_V4 + RTP_HEADER], payload, END_PAYLOAD);
	ip->tot_len = bpf_htons(sizeof(*ip) + END_UDP);
	ip->check = 0;
	ip->check = ~fold16(sum_words((const __u32 *)ip, sizeof(*ip) / 4));
	finish_end(e, HEADERS_V4 - sizeof(struct udphdr), sum_words(&ip->saddr, 2));
	e->v6 = 0;
	e->length = HEADERS_V4 + END_RTP;
	return 0;
}

static __always_inline int write_end_v6(struct __sk_buff *skb, struct fanout_parked *e, const void *payload)
{
	struct ipv6hdr *ip = (void *)&e->frame[IP_OFFSET];

	if (bpf_skb_load_bytes(skb, 0, e->frame, HEADERS_V6 + RTP_HEADER))
		return -1;
	__builtin_memcpy(&e->frame[HEADERS_V6 + RTP_HEADER], payload, END_PAYLOAD);
	ip->payload_len = bpf_htons(END_UDP);
	finish_end(e, HEADERS_V6 - sizeof(struct udphdr), sum_words(ip->saddr.s6_addr32, 8));
	e->v6 = 1;
	e->length = HEADERS_V6 + END_RTP;
	return 0;
}

/* The ticket's packet is what stands in for the one that has just come. */
static __always_inline void stand_in(struct fanout_ticket *t)
{
	t->begins = 0;
	t->layer.flags = FANOUT_LAYER_COUNTS | FANOUT_LAYER_MARKED | FANOUT_LAYER_END;
	t->layer.octets = END_PAYLOAD;
	t->layer.bytes = END_RTP;
}

/* After a packet with FANOUT_LAYER_ENDED has got its ticket, or none was free. Without a place it is missed as if it were lost.
 * The packet is as it came. */
static __noinline int park_end(struct __sk_buff *skb, struct fanout_stream *s, const struct packet *in)
{
	struct place_search c = { .g = the_global() };
	struct fanout_ticket *t = take_ticket(s, in, FANOUT_STREAM_IN_FLIGHT);
	const void *payload = s->codec == FANOUT_CODEC_AV1 ? AV1_PADDING : H264_FILLER;
	struct fanout_parked *e;

	if (!t)
		return 0;
	stand_in(t);
	keep_nothing(s, t->number);
	c.owner = owner_of(in->stream, t->number);
	if (c.g)
		bpf_loop(ENTRY_TRIES, try_place, &c, 0);
	e = c.found ? bpf_map_lookup_elem(&parked, &c.index) : NULL;
	if (e && !(in->payload_at == HEADERS_V6 ? write_end_v6(skb, e, payload) : write_end_v4(skb, e, payload))) {
		t->parked = c.index;
		if (turn(t, FANOUT_TICKET_MOVING, FANOUT_TICKET_PARKED))
			return 0;
	}
	give_up(s, in->stream, t);
	return 0;
}

#endif
