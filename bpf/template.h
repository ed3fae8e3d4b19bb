/* SPDX-License-Identifier: GPL-2.0-only */
/* Templates: packets that go round through the private veth. Which they are is in the Ethernet addresses, which every copy
 * overwrites, so it cannot leave this host; and only this host can send on the private device, so it cannot be forged:
 *
 *   destination  the receiving end's address, random since its making: nothing else sent there has it
 *   source       stream (2 bytes), ticket number (4 bytes), host order
 */
#ifndef FANOUT_TEMPLATE_H
#define FANOUT_TEMPLATE_H

#include "lane.h"
#include "packet.h"

/* Handle 1:1 of the private veth's queue (private-veth.ts). */
#define SLOW_CLASS 0x10001

/* In `stream`: the template has no packet of its own; it is to take up one that is parked. */
#define IDLE_TEMPLATE 0x8000
/* It is XDP's, and goes through TC's queue: to another CPU, or slowly. XDP's queue can do neither. */
#define MOVING_TEMPLATE 0x4000
#define TEMPLATE_STREAM (MOVING_TEMPLATE - 1)
_Static_assert(FANOUT_MAX_STREAMS <= MOVING_TEMPLATE, "stream");

struct template_address {
	__u8 destination[6];
	__u16 stream;
	__u32 number;
} __attribute__((packed));

static __always_inline bool is_template(const struct template_address *a, const struct fanout_global *g)
{
	for (int i = 0; i < ETH_ALEN; i++)
		if (a->destination[i] != g->template_mac[i])
			return false;
	return true;
}

static __always_inline bool read_template(struct __sk_buff *skb, const struct fanout_global *g,
					  struct template_address *a)
{
	void *data = skb->protocol == bpf_htons(ETH_P_IPV6) ? pull(skb, HEADERS_V6 + RTP_START) :
								     pull(skb, HEADERS_V4 + RTP_START);

	if (!data)
		return false;
	__builtin_memcpy(a, data, sizeof(*a));
	return is_template(a, g);
}

/* Where a template waits: in XDP's queue where that engine is on, except what XDP cannot carry. */
static __always_inline __u32 waiting_room(const struct __sk_buff *skb, const struct fanout_global *g)
{
	return g->xdp_ifindex && !skb->gso_size && skb->len <= FANOUT_XDP_FRAME ? g->xdp_ifindex :
										   g->recirculate_ifindex;
}

/* From now on the packet waits a little in the private veth's queue: until its departure time where that is fq, else in a
 * class of its own (private-veth.ts). */
static __always_inline void slow_down(struct __sk_buff *skb, __u64 now)
{
	skb->priority = SLOW_CLASS;
	bpf_skb_set_tstamp(skb, now + FANOUT_RETRY_NS, BPF_SKB_TSTAMP_DELIVERY_MONO);
}

/* Sends a clone of the packet round through a private veth, to be received on `cpu`: TC's by its hash, XDP's by the queue that it
 * goes into. Where it can, each CPU puts them into its own queue only: it would receive from another's as well. 0, or not 0: it
 * could not be queued. A global function, so that the verifier looks at it once. */
__noinline int send_round(struct __sk_buff *skb, __u32 stream, __u32 number, __u32 cpu)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct template_address a = { .stream = stream, .number = number };
	struct fanout_global *g = the_global();
	__u32 room;

	if (!g || data + ETH_HLEN > end)
		return -1;
	room = waiting_room(skb, g);
	if (room == g->xdp_ifindex &&
	    (skb->priority == SLOW_CLASS || (is_steered(g) && cpu != bpf_get_smp_processor_id()))) {
		room = g->recirculate_ifindex;
		a.stream |= MOVING_TEMPLATE;
	}
	__builtin_memcpy(a.destination, g->template_mac, sizeof(a.destination));
	__builtin_memcpy(data, &a, sizeof(a));
	bpf_set_hash(skb, steering_hash(g, cpu));
	skb->queue_mapping = queue_of(cpu);
	return bpf_clone_redirect(skb, room, 0);
}

#endif
