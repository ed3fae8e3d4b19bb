// SPDX-License-Identifier: GPL-2.0-only
/*
 * latency.bpf.c - `sent` on egress of the source's device, `arrived` on ingress of the viewers': when each RTP packet
 * left and when its first and last copy came. Copies are dropped there, so that receiving costs next to nothing.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "latency.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u16 source_port, low_port, high_port;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LATENCY_PACKETS);
	__type(key, __u32);
	__type(value, struct latency_packet);
} packets SEC(".maps");

struct headers {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	__u8 rtp[4];
} __attribute__((packed));

/* The entry of an RTP packet to one of the ports, or NULL. */
static __always_inline struct latency_packet *entry(struct __sk_buff *skb, __u16 low, __u16 high)
{
	struct headers h;
	__u32 seq;

	if (skb->protocol != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, 0, &h, sizeof h))
		return NULL;
	if (h.ip.ihl != 5 || h.ip.protocol != IPPROTO_UDP || h.rtp[0] >> 6 != 2)
		return NULL;
	if (bpf_ntohs(h.udp.dest) < low || bpf_ntohs(h.udp.dest) > high)
		return NULL;
	seq = h.rtp[2] << 8 | h.rtp[3];
	return bpf_map_lookup_elem(&packets, &seq);
}

SEC("tc")
int sent(struct __sk_buff *skb)
{
	struct latency_packet *p = entry(skb, source_port, source_port);

	if (p)
		p->sent_ns = bpf_ktime_get_ns();
	return TC_ACT_OK;
}

SEC("tc")
int arrived(struct __sk_buff *skb)
{
	__u64 now = bpf_ktime_get_ns();
	struct latency_packet *p = entry(skb, low_port, high_port);

	if (!p)
		return TC_ACT_OK;
	if (!__sync_fetch_and_add(&p->copies, 1))
		p->first_ns = now;
	p->last_ns = now;
	return TC_ACT_SHOT;
}
