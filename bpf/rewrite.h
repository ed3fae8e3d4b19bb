/* SPDX-License-Identifier: GPL-2.0-only */
/* Turning the packet into a viewer's: addresses, ports, MACs and what depends on them. Works from whatever the packet
 * holds at the moment (the source's values, or those of the viewer before), so every update is a difference. */
#ifndef FANOUT_REWRITE_H
#define FANOUT_REWRITE_H

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

struct header_change {
	__u32 addresses; /* what the UDP checksum's pseudo header changed by */
	__u32 ports;
};

/* The part that needs only pointers into the packet, the IPv4 checksum with it; the UDP checksum is the caller's. */
static __always_inline struct header_change rewrite_headers(struct ethhdr *eth, struct iphdr *ip, struct udphdr *udp,
							    const struct fanout_viewer *v, __u32 kind)
{
	__be32 source = address_v4(v->source), destination = address_v4(v->address);
	__be16 source_port = v->source_port[kind % FANOUT_KINDS], port = v->port[kind % FANOUT_KINDS];
	struct header_change change;
	__u8 ttl = v->ttl ? v->ttl : FANOUT_TTL;
	__u16 ttl_before, ttl_after;

	__builtin_memcpy(eth->h_dest, v->mac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, v->source_mac, ETH_ALEN);

	change.addresses = fold32((__u64)(__u32)~ip->saddr + (__u32)~ip->daddr + source + destination);
	ttl_before = bpf_htons(ip->ttl << 8 | ip->protocol);
	ttl_after = bpf_htons(ttl << 8 | IPPROTO_UDP);
	ip->check = ~fold16(fold32((__u64)(__u16)~ip->check + change.addresses + (__u16)~ttl_before + ttl_after));
	ip->saddr = source;
	ip->daddr = destination;
	ip->ttl = ttl;

	change.ports = fold32((__u64)(__u16)~udp->source + (__u16)~udp->dest + source_port + port);
	udp->source = source_port;
	udp->dest = port;
	return change;
}

/* 0, or non-zero when the headers cannot be written (no memory to unshare them). Invalidates packet pointers.
 * The UDP checksum may be whole, partial (the device or the kernel completes it) or absent: the helper knows which, and
 * must be told the pseudo header's part (addresses) apart from the rest (ports). */
static __always_inline int rewrite(struct __sk_buff *skb, const struct fanout_viewer *v, __u32 kind)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct header_change change;

	if (data + HEADERS > end)
		return -1;
	change = rewrite_headers(data, data + IP_OFFSET, data + UDP_OFFSET, v, kind);
	if (change.addresses && bpf_l4_csum_replace(skb, UDP_CHECK_OFFSET, 0, change.addresses,
						    BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0))
		return -1;
	return bpf_l4_csum_replace(skb, UDP_CHECK_OFFSET, 0, change.ports, BPF_F_MARK_MANGLED_0);
}

#endif
