// SPDX-License-Identifier: GPL-2.0-only
/*
 * counter.bpf.c - TC ingress at the viewers' side: counts RTP per receiver (lost, duplicated, reordered by sequence
 * number) for a range of UDP ports and drops the packet, so that receiving costs next to nothing. The rest passes.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "counter.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u16 low_port, high_port;

/* The highest sequence number of a source that any receiver has got. */
struct frontier {
	struct bpf_spin_lock lock;
	__u32 started;
	__u16 highest;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, COUNTER_MAX_BLOCKS);
	__type(key, struct counter_key);
	__type(value, struct counter_block);
} blocks SEC(".maps");

/* A block is too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counter_block);
} nothing SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, COUNTER_MAX_SOURCES);
	__type(key, __u32);
	__type(value, struct frontier);
} frontiers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counter_totals);
} totals SEC(".maps");

#define RTP_HEADER 12
#define LOCK_TRIES 100000

struct datagram {
	struct counter_key key;
	__u16 port;    /* host order, as in the key */
	__u32 payload; /* bytes */
	struct {
		struct udphdr udp;
		__u8 rtp[RTP_HEADER]; /* as much of it as there is */
	} head;
};

/* 0 when the frame holds a whole UDP datagram over IPv4 or IPv6 without options, fragments or extension headers. */
static __always_inline int parse(struct __sk_buff *skb, struct datagram *out)
{
	__u32 at = sizeof(struct ethhdr), length;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, at, &ip, sizeof ip) || ip.ihl != 5 || ip.protocol != IPPROTO_UDP ||
		    ip.frag_off & bpf_htons(0x3fff))
			return -1;
		out->key.address[10] = out->key.address[11] = 0xff;
		__builtin_memcpy(out->key.address + 12, &ip.daddr, 4);
		at += sizeof ip;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes(skb, at, &ip, sizeof ip) || ip.nexthdr != IPPROTO_UDP)
			return -1;
		__builtin_memcpy(out->key.address, &ip.daddr, 16);
		at += sizeof ip;
	} else {
		return -1;
	}
	if (bpf_skb_load_bytes(skb, at, &out->head, sizeof out->head)) {
		out->head.rtp[0] = 0;
		if (bpf_skb_load_bytes(skb, at, &out->head, sizeof out->head.udp + 8) &&
		    bpf_skb_load_bytes(skb, at, &out->head.udp, sizeof out->head.udp))
			return -1;
	}
	length = bpf_ntohs(out->head.udp.len);
	if (length < sizeof out->head.udp)
		return -1;
	out->port = bpf_ntohs(out->head.udp.dest);
	out->key.block = out->port / COUNTER_BLOCK_PORTS;
	out->payload = length - sizeof out->head.udp;
	return 0;
}

/* Nobody has got that of the source before. */
static __always_inline int is_new(__u32 ssrc, __u16 seq)
{
	struct frontier fresh = {}, *frontier = bpf_map_lookup_elem(&frontiers, &ssrc);
	int first;

	if (!frontier) {
		bpf_map_update_elem(&frontiers, &ssrc, &fresh, BPF_NOEXIST);
		frontier = bpf_map_lookup_elem(&frontiers, &ssrc);
		if (!frontier)
			return 0;
	}
	bpf_spin_lock(&frontier->lock);
	first = !frontier->started || (__s16)(seq - frontier->highest) > 0;
	if (first) {
		frontier->started = 1;
		frontier->highest = seq;
	}
	bpf_spin_unlock(&frontier->lock);
	return first;
}

/* All receivers' CPUs would wait for that one lock, and nearly always for nothing. */
static __always_inline int is_first(__u32 ssrc, __u16 seq, struct counter_totals *own)
{
	if (own->known && own->ssrc == ssrc && (__s16)(seq - own->highest) <= 0)
		return 0;
	own->ssrc = ssrc;
	own->highest = seq;
	own->known = 1;
	return is_new(ssrc, seq);
}

/* Under the row's lock. */
static __always_inline void note(struct counter_row *row, __u16 seq)
{
	__s16 step = seq - (__u16)row->highest;
	__u32 back = -(__s32)step;

	if (!row->started) {
		row->started = 1;
		row->lowest = row->highest = 65536 + seq;
		row->seen = 1;
		row->unique++;
	} else if (step > 0) {
		row->highest += step;
		row->seen = step < COUNTER_WINDOW ? row->seen << step | 1 : 1;
		row->unique++;
	} else if (back >= COUNTER_WINDOW) {
		row->old++;
	} else if (row->seen & 1ULL << back) {
		row->duplicated++;
	} else {
		row->seen |= 1ULL << back;
		row->reordered++;
		row->unique++;
		if (row->highest - back < row->lowest)
			row->lowest = row->highest - back;
	}
}

static __always_inline struct counter_block *block_of(const struct counter_key *key)
{
	struct counter_block *block = bpf_map_lookup_elem(&blocks, key);
	__u32 zero = 0;
	void *fresh;

	if (block)
		return block;
	fresh = bpf_map_lookup_elem(&nothing, &zero);
	if (fresh)
		bpf_map_update_elem(&blocks, key, fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&blocks, key);
}

static long try_lock(__u32 i, void *context)
{
	struct counter_row **row = context;

	return !__sync_val_compare_and_swap(&(*row)->busy, 0, 1);
}

/* A receiver's packets nearly always arrive on one CPU, so a lock of its own costs less than one for several. */
static __always_inline int lock(struct counter_row *row)
{
	return !__sync_val_compare_and_swap(&row->busy, 0, 1) || bpf_loop(LOCK_TRIES, try_lock, &row, 0) < LOCK_TRIES;
}

static __always_inline void count(const struct datagram *datagram, __u16 seq, struct counter_totals *total)
{
	struct counter_block *block = block_of(&datagram->key);
	int first = is_first(datagram->key.ssrc, seq, total);
	struct counter_row *row;

	row = block ? &block->rows[datagram->port % COUNTER_BLOCK_PORTS] : NULL;
	if (!row || !lock(row)) {
		total->overflow++;
		return;
	}
	row->packets++;
	row->bytes += datagram->payload;
	row->first += first;
	note(row, seq);
	__sync_lock_test_and_set(&row->busy, 0);
}

SEC("tc")
int counter(struct __sk_buff *skb)
{
	struct datagram datagram = {};
	struct counter_totals *total;
	__u8 *rtp = datagram.head.rtp;
	__u32 zero = 0;

	if (parse(skb, &datagram))
		return TC_ACT_OK;
	total = bpf_map_lookup_elem(&totals, &zero);
	if (datagram.port < low_port || datagram.port > high_port || !total)
		return TC_ACT_OK;
	if (skb->gso_segs > 1) {
		total->aggregated++;
		return TC_ACT_SHOT;
	}
	if (datagram.payload < 8 || rtp[0] >> 6 != 2) {
		total->other++;
		return TC_ACT_SHOT;
	}
	if (rtp[1] >= 192 && rtp[1] <= 223) { /* RFC 5761 4 */
		total->rtcp++;
		return TC_ACT_SHOT;
	}
	if (datagram.payload < RTP_HEADER) {
		total->other++;
		return TC_ACT_SHOT;
	}
	total->rtp++;
	datagram.key.ssrc = (__u32)rtp[8] << 24 | rtp[9] << 16 | rtp[10] << 8 | rtp[11];
	count(&datagram, (__u16)(rtp[2] << 8 | rtp[3]), total);
	return TC_ACT_SHOT;
}
