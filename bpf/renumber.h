/* SPDX-License-Identifier: GPL-2.0-only */
/* What a copy has of its own for a viewer that is thinned (thin.h): marker and sequence number of RTP, counts of a sender report. */
#ifndef FANOUT_RENUMBER_H
#define FANOUT_RENUMBER_H

#include "checksum.h"
#include "packet.h"

/* `rtp_start`: the sequence number in the low half, and: */
#define RTP_START_SET 0x80000000u
#define RTP_START_MARKED 0x00800000u

/* Returns what the UDP checksum changes by. */
static __always_inline __u16 rewrite_rtp(__be16 *rtp, __u32 start)
{
	__be16 marker = bpf_htons(0x80), first = rtp[0] & ~marker, seq = bpf_htons(start);
	__u16 change;

	if (start & RTP_START_MARKED)
		first |= marker;
	change = fold16(fold32((__u64)(__u16)~rtp[0] + (__u16)~rtp[1] + first + seq));
	rtp[0] = first;
	rtp[1] = seq;
	return change;
}

#define SR_COUNTS 20 /* offset of packet and octet count in a sender report */

struct datagrams {
	struct __sk_buff *skb;
	__u32 at; /* of the first one's sequence number in the frame */
	__u32 segment;
	__u16 seq; /* of the first */
};

static long renumber_datagram(__u32 i, void *context)
{
	struct datagrams *c = context;
	__be16 seq = bpf_htons(c->seq + i + 1);

	return bpf_skb_store_bytes(c->skb, c->at + (i + 1) * c->segment, &seq, sizeof(seq), 0) ? 1 : 0;
}

/* The datagrams of a GSO packet, which goes as one to all viewers, so that they follow each other; all but the first. Their
 * checksums are left to the kernel or the device, as ever. */
static __always_inline void renumber_datagrams(struct __sk_buff *skb, __u32 at, __u32 start)
{
	struct datagrams c = { .skb = skb, .at = at + 2, .segment = skb->gso_size, .seq = start };
	__u32 segments = datagrams_in(skb, skb->len > at ? skb->len - at : 0);

	if (segments > 1)
		bpf_loop(segments < FANOUT_DATAGRAM_SEGMENTS ? segments - 1 : FANOUT_DATAGRAM_SEGMENTS - 1,
			 renumber_datagram, &c, 0);
}

/* The counts of a sender report: less what the viewer was not sent (RFC 3550 7.2). Returns what the UDP checksum changes by. */
static __always_inline __u16 rewrite_counts(__be32 *counts, const struct fanout_viewer *v)
{
	__be32 packets = bpf_htonl(v->report_packets), octets = bpf_htonl(v->report_octets);
	__u16 change = fold16(fold32((__u64)(__u32)~counts[0] + (__u32)~counts[1] + packets + octets));

	counts[0] = packets;
	counts[1] = octets;
	return change;
}

/* As renumber(). */
__noinline int recount(struct __sk_buff *skb, const struct fanout_viewer *v)
{
	__u32 at = headers_of(skb) + SR_COUNTS;
	__be32 counts[2];
	__u16 change;

	if (!v || bpf_skb_load_bytes(skb, at, counts, sizeof(counts)))
		return -1;
	change = rewrite_counts(counts, v);
	return bpf_skb_store_bytes(skb, at, counts, sizeof(counts), 0) ? -1 : change;
}

/* What the UDP checksum changes by, 0 to 0xffff, or -1: no memory. Invalidates packet pointers. A global function, so that the
 * verifier looks at it once. */
__noinline int renumber(struct __sk_buff *skb, __u32 start)
{
	__u32 at = headers_of(skb);
	void *data;

	if (skb->gso_size)
		renumber_datagrams(skb, at, start);
	data = (void *)(long)skb->data;
	if (at == HEADERS_V4) {
		if (data + HEADERS_V4 + RTP_START > (void *)(long)skb->data_end)
			return -1;
		return rewrite_rtp(data + HEADERS_V4, start);
	}
	if (data + HEADERS_V6 + RTP_START > (void *)(long)skb->data_end)
		return -1;
	return rewrite_rtp(data + HEADERS_V6, start);
}

#endif
