// SPDX-License-Identifier: GPL-2.0-only
/* sink.bpf.c - throws UDP to a range of ports away and counts it, as cheaply as can be, so that what a copy costs is what making
 * it costs: as it arrives with the viewers (sink), before it reaches the device that leads there (steal), or, for frames that
 * XDP made, in the receiving driver (sink_xdp). */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "copies.bpf.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u16 low_port, high_port;

#define NO_DEVICE 0x7fffffff

static __always_inline bool is_copy(const struct ethhdr *eth, const void *end)
{
	const struct iphdr *ip = (const void *)(eth + 1);
	const struct udphdr *udp = (const void *)(ip + 1);

	return (const void *)(udp + 1) <= end && eth->h_proto == bpf_htons(ETH_P_IP) && ip->protocol == IPPROTO_UDP &&
	       bpf_ntohs(udp->dest) >= low_port && bpf_ntohs(udp->dest) <= high_port;
}

static __always_inline bool take(struct __sk_buff *skb)
{
	if (!is_copy((void *)(long)skb->data, (void *)(long)skb->data_end))
		return false;
	count(skb->gso_segs > 1 ? skb->gso_segs : 1);
	return true;
}

SEC("tc")
int sink(struct __sk_buff *skb)
{
	return take(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

/* Whoever sends it is told that the device took it: that it has been redirected, to a device which there is not. TC_ACT_STOLEN would say
 * so too, but is not known to tcx. */
SEC("tc")
int steal(struct __sk_buff *skb)
{
	return take(skb) ? bpf_redirect(NO_DEVICE, 0) : TC_ACT_OK;
}

SEC("xdp")
int sink_xdp(struct xdp_md *x)
{
	if (!is_copy((void *)(long)x->data, (void *)(long)x->data_end))
		return XDP_PASS;
	count(1);
	return XDP_DROP;
}
