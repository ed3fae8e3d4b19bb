/* SPDX-License-Identifier: GPL-2.0-only */
/* Turning an IPv4 packet into an IPv6 one and back, for viewers of the other family than the source's. The helper makes
 * room for the other header; its addresses are put so that the UDP checksum's pseudo header keeps its sum, and the
 * checksum, be it whole or partial, its value: rewrite.h sets the right ones. A source without checksum is given one. */
#ifndef FANOUT_FAMILY_H
#define FANOUT_FAMILY_H

#include "packet.h"

#define IP_DONT_FRAGMENT 0x4000
#define SUM_STEP 32 /* bytes */

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

/* ---- a checksum where there was none ------------------------------------------------------------------------ */

struct summing {
	struct __sk_buff *skb;
	__u32 at;
	__u32 left;
	__u32 sum;
};

static long sum_step(__u32 i, void *context)
{
	struct summing *c = context;
	__u32 bytes[SUM_STEP / 4] = {}, length = c->left < SUM_STEP ? c->left : SUM_STEP;

	if (!length || length > SUM_STEP || bpf_skb_load_bytes(c->skb, c->at, bytes, length))
		return 1;
	c->sum = fold32((__u64)c->sum + sum_words(bytes, SUM_STEP / 4));
	c->at += length;
	c->left -= length;
	return 0;
}

/* RFC 8200 8.1, for a packet that has no checksum. */
static __always_inline int give_checksum(struct __sk_buff *skb, const struct ipv6hdr *ip)
{
	struct summing c = {
		.skb = skb,
		.at = IP_OFFSET + sizeof(*ip),
		.left = bpf_ntohs(ip->payload_len),
	};
	__u32 offset = c.at + offsetof(struct udphdr, check);
	__u64 pseudo = sum_words((const __u32 *)&ip->saddr, 8);
	__u16 check;

	pseudo += bpf_htonl(c.left) + (__u64)bpf_htonl(IPPROTO_UDP);
	bpf_loop(c.left / SUM_STEP + 1, sum_step, &c, 0);
	if (c.left)
		return -1;
	check = ~fold16(fold32(pseudo + c.sum));
	if (!check)
		check = 0xffff;
	bpf_csum_update(skb, check);
	return bpf_skb_store_bytes(skb, offset, &check, sizeof(check), 0);
}

/* ---- the other family --------------------------------------------------------------------------------------- */

/* Where the device has summed up the whole packet (CHECKSUM_COMPLETE), that sum must follow: an IPv4 header adds nothing
 * to it, by its own checksum. bpf_csum_update does nothing in other cases. Global functions, so that the verifier looks at
 * them once. */
__noinline int change_to_v6(struct __sk_buff *skb)
{
	struct ipv6hdr ip6 = { .version = 6, .nexthdr = IPPROTO_UDP, .hop_limit = FANOUT_TTL };
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + IP_OFFSET;
	struct udphdr *udp = (void *)(ip + 1);
	bool no_checksum;

	if (data + HEADERS_V4 > end)
		return -1;
	ip6.priority = ip->tos >> 4;
	ip6.flow_lbl[0] = ip->tos << 4;
	ip6.payload_len = bpf_htons(bpf_ntohs(ip->tot_len) - sizeof(*ip));
	ip6.saddr.s6_addr32[3] = ip->saddr;
	ip6.daddr.s6_addr32[3] = ip->daddr;
	no_checksum = !udp->check;
	if (bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0))
		return -1;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + HEADERS_V6 > end)
		return -1;
	((struct ethhdr *)data)->h_proto = bpf_htons(ETH_P_IPV6);
	*(struct ipv6hdr *)(data + IP_OFFSET) = ip6;
	bpf_csum_update(skb, sum_words((const __u32 *)&ip6, sizeof(ip6) / 4));
	return no_checksum ? give_checksum(skb, &ip6) : 0;
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

#endif
