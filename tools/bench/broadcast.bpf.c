// SPDX-License-Identifier: GPL-2.0-only
/* broadcast.bpf.c - the least that XDP can do to copy: one broadcast to as many entries as there are to be copies, each thrown away
 * as it would leave. Whatever makes copies with XDP costs this much. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "copies.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1); /* set by broadcast.c */
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} entries SEC(".maps");

SEC("xdp")
int arrive(struct xdp_md *x)
{
	const struct ethhdr *eth = (void *)(long)x->data;
	const struct iphdr *ip = (const void *)(eth + 1);

	if ((const void *)(ip + 1) > (void *)(long)x->data_end || eth->h_proto != bpf_htons(ETH_P_IP) ||
	    ip->protocol != IPPROTO_UDP)
		return XDP_PASS;
	return bpf_redirect_map(&entries, 0, BPF_F_BROADCAST);
}

SEC("xdp/devmap")
int leave(struct xdp_md *x)
{
	count(1);
	return XDP_DROP;
}
