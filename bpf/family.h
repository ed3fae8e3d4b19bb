/* SPDX-License-Identifier: GPL-2.0-only */
/* Turning an IPv4 packet into an IPv6 one and back, for viewers of the other family than the source's. The helper makes
 * room for the other header; its addresses are put so that the UDP checksum's pseudo header keeps its sum, and the
 * checksum, be it whole or partial, its value: rewrite.h sets the right ones. */
#ifndef FANOUT_FAMILY_H
#define FANOUT_FAMILY_H

#include "checksum.h"

#define IP_DONT_FRAGMENT 0x4000

/* Where the device has summed up the whole packet (CHECKSUM_COMPLETE), that sum must follow: an IPv4 header adds nothing
 * to it, by its own checksum. bpf_csum_update does nothing in other cases. Global functions, so that the verifier looks at
 * them once. */
__noinline int change_to_v6(struct __sk_buff *skb)
{
	struct ipv6hdr ip6 = { .version = 6, .nexthdr = IPPROTO_UDP, .hop_limit = FANOUT_TTL };
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + IP_OFFSET;
	struct udphdr *udp = (void *)(ip + 1);

	if (data + HEADERS_V4 > end || !udp->check)
		return -1;
	ip6.priority = ip->tos >> 4;
	ip6.flow_lbl[0] = ip->tos << 4;
	ip6.payload_len = bpf_htons(bpf_ntohs(ip->tot_len) - sizeof(*ip));
	ip6.saddr.s6_addr32[3] = ip->saddr;
	ip6.daddr.s6_addr32[3] = ip->daddr;
	if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0))
		return -1;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + HEADERS_V6 > end)
		return -1;
	((struct ethhdr *)data)->h_proto = bpf_htons(ETH_P_IPV6);
	*(struct ipv6hdr *)(data + IP_OFFSET) = ip6;
	bpf_csum_update(skb, sum_words((const __u32 *)&ip6, sizeof(ip6) / 4));
	return 0;
}

__noinline int change_to_v4(struct __sk_buff *skb)
{
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = FANOUT_TTL, .protocol = IPPROTO_UDP };
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ipv6hdr ip6;

	if (data + HEADERS_V6 > end)
		return -1;
	ip6 = *(struct ipv6hdr *)(data + IP_OFFSET);
	ip.tos = ip6.priority << 4 | ip6.flow_lbl[0] >> 4;
	ip.tot_len = bpf_htons(bpf_ntohs(ip6.payload_len) + sizeof(ip));
	ip.frag_off = bpf_htons(IP_DONT_FRAGMENT);
	ip.saddr = sum_words(ip6.saddr.s6_addr32, 4);
	ip.daddr = sum_words(ip6.daddr.s6_addr32, 4);
	ip.check = ~fold16(sum_words((const __u32 *)&ip, sizeof(ip) / 4));
	if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IP), 0))
		return -1;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + HEADERS_V4 > end)
		return -1;
	((struct ethhdr *)data)->h_proto = bpf_htons(ETH_P_IP);
	*(struct iphdr *)(data + IP_OFFSET) = ip;
	/* The helper has taken the first 20 bytes off that sum; those behind have been overwritten. */
	bpf_csum_update(skb, ~sum_words((const __u32 *)&ip6 + sizeof(ip) / 4, (sizeof(ip6) - sizeof(ip)) / 4));
	return 0;
}

/* Makes the packet one of that family, where it is not. As rewrite(). */
static __always_inline int take_family(struct __sk_buff *skb, bool v6)
{
	if (v6 == (skb->protocol == bpf_htons(ETH_P_IPV6)))
		return 0;
	return v6 ? change_to_v6(skb) : change_to_v4(skb);
}

#endif
