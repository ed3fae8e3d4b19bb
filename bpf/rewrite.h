/* SPDX-License-Identifier: GPL-2.0-only */
/* Turning the packet into a viewer's: addresses, ports, MACs and what depends on them. Works from whatever the packet
 * holds at the moment (the source's values, or those of the viewer before), so every update is a difference. */
#ifndef FANOUT_REWRITE_H
#define FANOUT_REWRITE_H

#include "checksum.h"
#include "renumber.h"

struct header_change {
	__u32 addresses; /* what the UDP checksum's pseudo header changed by */
	__u32 ports;  /* what the rest did: ports, the start of an RTP header */
	__u32 others; /* what else of the IP header changed, that no checksum in it makes up for */
};

static __always_inline void rewrite_ethernet(struct ethhdr *eth, const struct fanout_viewer *v)
{
	__builtin_memcpy(eth->h_dest, v->mac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, v->source_mac, ETH_ALEN);
}

static __always_inline __u32 rewrite_ports(struct udphdr *udp, const struct fanout_viewer *v, __u32 kind)
{
	__be16 source_port = v->source_port[kind % FANOUT_KINDS], port = v->port[kind % FANOUT_KINDS];
	__u32 change = fold32((__u64)(__u16)~udp->source + (__u16)~udp->dest + source_port + port);

	udp->source = source_port;
	udp->dest = port;
	return change;
}

/* The part that needs only pointers into the packet, the IPv4 checksum with it; the UDP checksum is the caller's. */
static __always_inline struct header_change rewrite_v4(struct ethhdr *eth, const struct fanout_viewer *v, __u32 kind)
{
	__be32 source = address_v4(v->source), destination = address_v4(v->address);
	struct iphdr *ip = (void *)(eth + 1);
	struct header_change change = {};
	__u8 ttl = v->ttl ? v->ttl : FANOUT_TTL;
	__u16 ttl_before, ttl_after;

	rewrite_ethernet(eth, v);
	change.addresses = fold32((__u64)(__u32)~ip->saddr + (__u32)~ip->daddr + source + destination);
	ttl_before = bpf_htons(ip->ttl << 8 | ip->protocol);
	ttl_after = bpf_htons(ttl << 8 | IPPROTO_UDP);
	ip->check = ~fold16(fold32((__u64)(__u16)~ip->check + change.addresses + (__u16)~ttl_before + ttl_after));
	ip->saddr = source;
	ip->daddr = destination;
	ip->ttl = ttl;
	change.ports = rewrite_ports((void *)(ip + 1), v, kind);
	return change;
}

static __always_inline struct header_change rewrite_v6(struct ethhdr *eth, const struct fanout_viewer *v, __u32 kind)
{
	struct ipv6hdr *ip = (void *)(eth + 1);
	struct header_change change = {};
	__u32 before, after;

	rewrite_ethernet(eth, v);
	before = sum_words(ip->saddr.s6_addr32, 8); /* saddr and daddr, which follow each other */
	__builtin_memcpy(&ip->saddr, v->source, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, v->address, sizeof(ip->daddr));
	after = sum_words((const __u32 *)v->source, 8);
	change.addresses = fold32((__u64)(__u32)~before + after);
	change.others = fold32((__u64)(__u16)~bpf_htons(ip->hop_limit) + bpf_htons(FANOUT_TTL));
	ip->hop_limit = FANOUT_TTL;
	change.ports = rewrite_ports((void *)(ip + 1), v, kind);
	return change;
}
_Static_assert(offsetof(struct fanout_viewer, address) == offsetof(struct fanout_viewer, source) + 16, "rewrite_v6");

/* RFC 1624; a checksum of zero is none, and a sum of zero is sent as its other form (RFC 768). */
static __always_inline void patch_checksum(struct udphdr *udp, struct header_change change)
{
	__u16 check;

	if (!udp->check)
		return;
	check = ~fold16(fold32((__u64)(__u16)~udp->check + change.addresses + change.ports));
	udp->check = check ? check : 0xffff;
}

/* ---- with a socket buffer ----------------------------------------------------------------------------------- */

static __always_inline void patch_pseudo_sum(struct udphdr *udp, struct header_change change)
{
	udp->check = fold16(fold32((__u64)udp->check + change.addresses));
}

static __always_inline void patch_summed(struct udphdr *udp, struct header_change change, enum summed summed)
{
	if (summed == SUMMED_PARTIAL)
		patch_pseudo_sum(udp, change);
	else if (summed == SUMMED_WHOLE)
		patch_checksum(udp, change);
}

/* For SUMMED_COMPLETE: the helper keeps the device's sum as well, and must be told the pseudo header's part (addresses) apart
 * from the rest (ports). */
static __always_inline int change_checksum(struct __sk_buff *skb, __u32 udp_at, const struct header_change *change)
{
	__u32 at = udp_at + offsetof(struct udphdr, check);

	if (change->addresses &&
	    bpf_l4_csum_replace(skb, at, 0, change->addresses, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0))
		return -1;
	return bpf_l4_csum_replace(skb, at, 0, change->ports, BPF_F_MARK_MANGLED_0);
}

/* Of a packet of the viewer's family (family.h); not 0 `thinned`: the start of its RTP header as well. 0, or non-zero when the
 * headers cannot be written (no memory to unshare them). Invalidates packet pointers. A global function, so that the verifier
 * looks at it once. */
__noinline int rewrite(struct __sk_buff *skb, const struct fanout_viewer *v, __u32 kind, __u32 summed, __u32 thinned)
{
	struct header_change change;
	void *data, *end;
	int start = 0;

	if (!v)
		return -1; /* for the verifier */
	if (thinned)
		start = kind == FANOUT_RTCP ? recount(skb, v) : renumber(skb, v->rtp_start);
	if (start < 0)
		return -1;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (!is_v6(v->address)) {
		if (data + HEADERS_V4 > end)
			return -1;
		change = rewrite_v4(data, v, kind);
		change.ports = fold32((__u64)change.ports + start);
		patch_summed(data + HEADERS_V4 - sizeof(struct udphdr), change, summed);
		if (summed != SUMMED_COMPLETE)
			return 0;
		return change_checksum(skb, HEADERS_V4 - sizeof(struct udphdr), &change);
	}
	if (data + HEADERS_V6 > end)
		return -1;
	change = rewrite_v6(data, v, kind);
	change.ports = fold32((__u64)change.ports + start);
	patch_summed(data + HEADERS_V6 - sizeof(struct udphdr), change, summed);
	if (summed != SUMMED_COMPLETE)
		return 0;
	if (change_checksum(skb, HEADERS_V6 - sizeof(struct udphdr), &change))
		return -1;
	/* The helper took the addresses off the device's sum as IPv4's own checksum wants it. That is BPF_F_IPV6's job, which
	 * kernels before 6.16 do not know. */
	bpf_csum_update(skb, fold32((__u64)change.addresses + change.others));
	return 0;
}

#endif
