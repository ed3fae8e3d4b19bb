// SPDX-License-Identifier: GPL-2.0-only
/* sink.bpf.c - TC ingress at the viewers' side: drops UDP to a range of ports and counts it, as cheaply as can be, so that
 * what a copy costs is what making it costs. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

const volatile __u16 low_port, high_port;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} copies SEC(".maps");

SEC("tc")
int sink(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	struct udphdr *udp = (void *)(ip + 1);
	__u32 zero = 0;
	__u64 *count;

	if ((void *)(udp + 1) > end || skb->protocol != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP)
		return TC_ACT_OK;
	if (bpf_ntohs(udp->dest) < low_port || bpf_ntohs(udp->dest) > high_port)
		return TC_ACT_OK;
	count = bpf_map_lookup_elem(&copies, &zero);
	if (count)
		*count += skb->gso_segs > 1 ? skb->gso_segs : 1;
	return TC_ACT_SHOT;
}
