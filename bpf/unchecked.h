/* SPDX-License-Identifier: GPL-2.0-only */
/* UDP checksums made from the whole datagram: where there was none (over IPv4 a source may leave it out, RFC 768; over IPv6 a
 * viewer must have one, RFC 8200 8.1), or where a device was to complete it. */
#ifndef FANOUT_UNCHECKED_H
#define FANOUT_UNCHECKED_H

#include "checksum.h"

#define SUM_STEP 32 /* bytes */

struct summing {
	struct __sk_buff *skb;
	__u32 at;
	__u32 left;
	__u32 sum;
};

/* Sizes are constants: kernel 6.1's verifier loses track of others. */
static long sum_step(__u32 i, void *context)
{
	struct summing *c = context;
	__u32 bytes[SUM_STEP / 4] = {}, length;
	long error;

	if (c->left >= SUM_STEP) {
		length = SUM_STEP;
		error = bpf_skb_load_bytes(c->skb, c->at, bytes, SUM_STEP);
	} else if (c->left >= 2) {
		length = 2;
		error = bpf_skb_load_bytes(c->skb, c->at, bytes, 2);
	} else if (c->left) {
		length = 1;
		error = bpf_skb_load_bytes(c->skb, c->at, bytes, 1);
	} else {
		return 1;
	}
	if (error)
		return 1;
	c->sum = fold32((__u64)c->sum + sum_words(bytes, SUM_STEP / 4));
	c->at += length;
	c->left -= length;
	return 0;
}

/* 32 bits to be folded further, or negative. */
static __noinline __s64 sum_bytes(struct __sk_buff *skb, __u32 at, __u32 length)
{
	struct summing c = { .skb = skb, .at = at, .left = length };

	bpf_loop(length / SUM_STEP + SUM_STEP / 2, sum_step, &c, 0);
	return c.left ? -1 : (__s64)c.sum;
}

/* A sum of zero is sent as its other form: zero is no checksum (RFC 768). */
static __always_inline __u16 checksum_of(__u64 sum)
{
	__u16 check = ~fold16(fold32(sum));

	return check ? check : 0xffff;
}

/* Once per packet, as it comes: that is cheaper than to find out of which family its viewers are. */
static __noinline int give_checksum(struct __sk_buff *skb, __u32 udp_at, __u32 length)
{
	__s64 sum = sum_bytes(skb, udp_at, length);
	__u32 addresses[2];
	__u16 check;

	if (sum < 0 || bpf_skb_load_bytes(skb, IP_OFFSET + offsetof(struct iphdr, saddr), addresses, sizeof(addresses)))
		return -1;
	check = checksum_of((__u64)sum + addresses[0] + addresses[1] + bpf_htonl(length) + bpf_htonl(IPPROTO_UDP));
	/* The device may have summed up the whole packet (CHECKSUM_COMPLETE); in other cases this does nothing. */
	bpf_csum_update(skb, check);
	return bpf_skb_store_bytes(skb, udp_at + offsetof(struct udphdr, check), &check, sizeof(check), 0);
}

#endif
