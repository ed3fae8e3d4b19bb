/* SPDX-License-Identifier: GPL-2.0-only */
/* Turning the packet into a viewer's: addresses, ports, MACs and what depends on them. Works from whatever the packet
 * holds at the moment (the source's values, or those of the viewer before), so every update is a difference. */
#ifndef FANOUT_REWRITE_H
#define FANOUT_REWRITE_H

#include "packet.h"

#define TTL 64 /* we are the sender that viewers see, so they get a fresh one */

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

/* 0, or non-zero when the headers cannot be written (no memory to unshare them). Invalidates packet pointers.
 * The UDP checksum may be whole, partial (the device or the kernel completes it) or absent: the helper knows which, and
 * must be told the pseudo header's part (addresses) apart from the rest (ports). */
static __always_inline int rewrite(struct __sk_buff *skb, const struct fanout_viewer *v, __u32 kind)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__be32 source = address_v4(v->source), destination = address_v4(v->address);
	__be16 source_port = v->source_port[kind % FANOUT_KINDS], port = v->port[kind % FANOUT_KINDS];
	struct ethhdr *eth = data;
	struct iphdr *ip = data + IP_OFFSET;
	struct udphdr *udp = data + UDP_OFFSET;
	__u32 addresses, ports;
	__u16 ttl_before, ttl_after;

	if (data + HEADERS > end)
		return -1;
	__builtin_memcpy(eth->h_dest, v->mac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, v->source_mac, ETH_ALEN);

	addresses = fold32((__u64)(__u32)~ip->saddr + (__u32)~ip->daddr + source + destination);
	ttl_before = bpf_htons(ip->ttl << 8 | ip->protocol);
	ttl_after = bpf_htons(TTL << 8 | IPPROTO_UDP);
	ip->check = ~fold16(fold32((__u64)(__u16)~ip->check + addresses + (__u16)~ttl_before + ttl_after));
	ip->saddr = source;
	ip->daddr = destination;
	ip->ttl = TTL;

	ports = fold32((__u64)(__u16)~udp->source + (__u16)~udp->dest + source_port + port);
	udp->source = source_port;
	udp->dest = port;

	if (addresses &&
	    bpf_l4_csum_replace(skb, UDP_CHECK_OFFSET, 0, addresses, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0))
		return -1;
	return bpf_l4_csum_replace(skb, UDP_CHECK_OFFSET, 0, ports, BPF_F_MARK_MANGLED_0);
}

#endif
