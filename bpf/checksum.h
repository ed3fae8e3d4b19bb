/* SPDX-License-Identifier: GPL-2.0-only */
/* Sums for Internet checksums (RFC 1071). */
#ifndef FANOUT_CHECKSUM_H
#define FANOUT_CHECKSUM_H

#include "packet.h"

/* One's complement sum of 32-bit words, folded to 32 bits. */
static __always_inline __u32 fold32(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (sum & 0xffffffff) + (sum >> 32);
}

static __always_inline __u16 fold16(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Of whole words, in a register's or the stack's order. */
static __always_inline __u32 sum_words(const __u32 *words, int count)
{
	__u64 sum = 0;

	for (int i = 0; i < count; i++)
		sum += words[i];
	return fold32(sum);
}

/* ---- how a socket buffer's UDP checksum is to be kept --------------------------------------------------------- */

enum summed {
	SUMMED_WHOLE,    /* it is the datagram's, and nobody else sums */
	SUMMED_PARTIAL,  /* CHECKSUM_PARTIAL: it is the pseudo header's sum, a device or the kernel completes it */
	SUMMED_COMPLETE, /* CHECKSUM_COMPLETE: the datagram's, and the device has summed up the whole packet besides */
};

/* Nothing tells directly: the helper that changes a checksum leaves a partial one alone; the other one fails unless complete. */
static __always_inline enum summed summed(struct __sk_buff *skb, __u32 check_at)
{
	__u16 before = 0, after = 0;

	if ((__s64)bpf_csum_update(skb, 0) >= 0)
		return SUMMED_COMPLETE;
	bpf_skb_load_bytes(skb, check_at, &before, sizeof(before));
	if (bpf_l4_csum_replace(skb, check_at, 0, 1, 0))
		return SUMMED_COMPLETE; /* no memory: the helpers will say so again */
	bpf_skb_load_bytes(skb, check_at, &after, sizeof(after));
	if (before == after)
		return SUMMED_PARTIAL;
	bpf_skb_store_bytes(skb, check_at, &before, sizeof(before), 0);
	return SUMMED_WHOLE;
}

#endif
