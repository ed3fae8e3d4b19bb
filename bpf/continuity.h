/* SPDX-License-Identifier: GPL-2.0-only */
/* Rewriting a stream, so that the source behind it can change while viewers play: SSRC, sequence number and timestamp of RTP,
 * SSRC and RTP timestamp of RTCP. Done once, before the packet is kept, copied or passed up: everybody sees the same. */
#ifndef FANOUT_CONTINUITY_H
#define FANOUT_CONTINUITY_H

#include "reception.h"

#define MOST_COMPOUND 8 /* RTCP packets of a compound that are rewritten */
#define RTCP_APP 204

struct rewrite_walk {
	struct __sk_buff *skb;
	const struct rewriting *w;
	__u32 check_at; /* offset of the UDP checksum in the frame */
	__u32 at;
	__u32 end;
	__u32 segment;
};

/* Replaces four bytes and what the UDP checksum makes of them. `at` is even from the UDP header on. */
static __always_inline void put(const struct rewrite_walk *c, __u32 at, __be32 from, __be32 to)
{
	if (from == to)
		return;
	bpf_l4_csum_replace(c->skb, c->check_at, from, to, 4 | BPF_F_MARK_MANGLED_0);
	bpf_skb_store_bytes(c->skb, at, &to, sizeof(to), 0);
}

static long rewrite_datagram(__u32 i, void *context)
{
	struct rewrite_walk *c = context;
	__u32 at = c->at + i * c->segment;
	struct rtp_header rtp;
	__be32 first, to;

	if (at + sizeof(rtp) > c->end || bpf_skb_load_bytes(c->skb, at, &rtp, sizeof(rtp)))
		return 1;
	if (bpf_ntohl(rtp.ssrc) != c->w->from_ssrc)
		return 0;
	__builtin_memcpy(&first, &rtp, sizeof(first));
	to = bpf_htonl((bpf_ntohl(first) & 0xffff0000) | (__u16)(bpf_ntohs(rtp.seq) + c->w->seq_offset));
	put(c, at, first, to);
	put(c, at + 4, rtp.timestamp, bpf_htonl(bpf_ntohl(rtp.timestamp) + c->w->timestamp_offset));
	put(c, at + 8, rtp.ssrc, bpf_htonl(c->w->ssrc));
	return 0;
}

/* One packet of a compound: SSRC in its second word (SR, RR, SDES, BYE, APP), a sender report's RTP timestamp in the fifth. */
static long rewrite_report(__u32 i, void *context)
{
	struct rewrite_walk *c = context;
	__be32 words[2], timestamp;
	__u32 head;
	__u8 type;

	if (c->at + sizeof(words) > c->end || bpf_skb_load_bytes(c->skb, c->at, words, sizeof(words)))
		return 1;
	head = bpf_ntohl(words[0]);
	type = head >> 16;
	if (type >= RTCP_SR && type <= RTCP_APP && bpf_ntohl(words[1]) == c->w->from_ssrc) {
		put(c, c->at + 4, words[1], bpf_htonl(c->w->ssrc));
		if (type == RTCP_SR && c->at + RTCP_SR_LENGTH <= c->end &&
		    !bpf_skb_load_bytes(c->skb, c->at + 16, &timestamp, sizeof(timestamp)))
			put(c, c->at + 16, timestamp,
			    bpf_htonl(bpf_ntohl(timestamp) + c->w->timestamp_offset));
	}
	c->at += 4 + (head & 0xffff) * 4;
	return 0;
}

static __always_inline void rewrite_stream(struct __sk_buff *skb, const struct packet *p)
{
	struct rewrite_walk c = {
		.skb = skb,
		.w = &p->rewriting,
		.check_at = p->payload_at - sizeof(struct udphdr) + offsetof(struct udphdr, check),
		.at = p->payload_at,
		.end = p->payload_at + p->payload,
		.segment = p->segment,
	};

	if (!p->rewriting.on)
		return;
	if (p->kind == FANOUT_RTCP)
		bpf_loop(MOST_COMPOUND, rewrite_report, &c, 0);
	else
		bpf_loop(p->segments < FANOUT_DATAGRAM_SEGMENTS ? p->segments : FANOUT_DATAGRAM_SEGMENTS,
			 rewrite_datagram, &c, 0);
}

#endif
