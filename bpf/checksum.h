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

#endif
