/* SPDX-License-Identifier: GPL-2.0-only */
/* Parked packets: whose turn has not come, kept as bytes in a map until a template takes them up (ticket.h). */
#ifndef FANOUT_PARKED_H
#define FANOUT_PARKED_H

#include "family.h"
#include "ticket.h"
#include "unchecked.h"

#define ENTRY_TRIES 64
#define ENTRY_TRIES_ABOVE 8 /* of packets above the base layer: what is left is the base's */

/* ---- places ------------------------------------------------------------------------------------------------- */

static __always_inline __u64 owner_of(__u32 stream, __u32 number)
{
	return (__u64)(stream + 1) << 32 | number;
}

/* While its ticket needs it. */
static __always_inline bool is_used(__u64 owner)
{
	__u32 number = owner, stream = (owner >> 32) - 1, state;
	struct fanout_ticket *t = owner ? ticket_at(stream, number) : NULL;

	if (!t || *(volatile __u32 *)&t->number != number)
		return false;
	state = state_of(t);
	return state == FANOUT_TICKET_PARKED || state == FANOUT_TICKET_MOVING;
}

struct place_search {
	struct fanout_global *g;
	__u64 owner;
	__u32 index;
	bool found;
};

static long try_place(__u32 i, void *context)
{
	struct place_search *c = context;
	__u32 index = COUNT(c->g->park_hint, 1) % FANOUT_PARKED;
	struct fanout_parked *e = bpf_map_lookup_elem(&parked, &index);
	__u64 owner = e ? *(volatile __u64 *)&e->owner : 0;

	if (!e || is_used(owner) || __sync_val_compare_and_swap(&e->owner, owner, c->owner) != owner)
		return 0;
	c->index = index;
	c->found = true;
	return 1;
}

/* ---- into the map ------------------------------------------------------------------------------------------- */

/* Functions of their own, for their registers: kernel 6.1's verifier forgets what was compared once it goes to the stack. And
 * two comparisons, not one of a difference, which it does not see through either. */
static __noinline long park_bytes(struct __sk_buff *skb, struct fanout_parked *e, __u32 length)
{
	if (length > FANOUT_PARKED_BYTES)
		return -1;
	barrier_var(length);
	if (length < HEADERS_V4)
		return -1;
	return bpf_skb_load_bytes(skb, 0, e->frame, length);
}

static __noinline long unpark_bytes(struct __sk_buff *skb, const struct fanout_parked *e, __u32 length)
{
	if (length > FANOUT_PARKED_BYTES)
		return -1;
	barrier_var(length);
	if (length < HEADERS_V4)
		return -1;
	return bpf_skb_store_bytes(skb, 0, e->frame, length, 0);
}

static __always_inline int park_checksum(struct __sk_buff *skb, struct fanout_parked *e, const struct packet *in)
{
	bool v6 = e->v6;
	__s64 sum;

	if (summed(skb, CHECK_AT(v6)) != SUMMED_PARTIAL)
		return 0;
	/* What is there is the pseudo header's part. */
	sum = sum_bytes(skb, in->payload_at - sizeof(struct udphdr), in->payload + sizeof(struct udphdr));
	if (sum < 0)
		return -1;
	if (v6)
		*(__u16 *)&e->frame[CHECK_AT(true)] = checksum_of(sum);
	else
		*(__u16 *)&e->frame[CHECK_AT(false)] = checksum_of(sum);
	return 0;
}

/* GSO packets, and those longer than an entry, wait as templates instead. */
static __always_inline bool can_be_parked(const struct packet *in)
{
	return in->segments == 1 && in->payload_at + in->payload <= FANOUT_PARKED_BYTES;
}

/* The packet, whose ticket is MOVING, is parked. False: there is no place. */
static __noinline bool park(struct __sk_buff *skb, const struct packet *in, struct fanout_ticket *t,
			    struct fanout_global *g)
{
	struct place_search c = { .g = g, .owner = owner_of(in->stream, t->number) };
	struct fanout_parked *e;

	bpf_loop(in->layer && in->layer->layer ? ENTRY_TRIES_ABOVE : ENTRY_TRIES, try_place, &c, 0);
	e = c.found ? bpf_map_lookup_elem(&parked, &c.index) : NULL;
	if (!e)
		return false;
	e->length = in->payload_at + in->payload;
	e->v6 = in->payload_at == HEADERS_V6;
	if (park_bytes(skb, e, e->length) || park_checksum(skb, e, in))
		return false;
	t->parked = c.index;
	return turn(t, FANOUT_TICKET_MOVING, FANOUT_TICKET_PARKED);
}

/* ---- and out of it ------------------------------------------------------------------------------------------ */

/* For a packet whose checksum the kernel will complete: the pseudo header's part, as it expects it. */
static __always_inline int leave_checksum(struct __sk_buff *skb, const struct fanout_parked *e, __u32 length)
{
	__u32 udp = length;
	__u64 sum;
	__u16 check;

	if (e->v6)
		sum = sum_words((const __u32 *)&e->frame[IP_OFFSET + offsetof(struct ipv6hdr, saddr)], 8);
	else
		sum = sum_words((const __u32 *)&e->frame[IP_OFFSET + offsetof(struct iphdr, saddr)], 2);
	udp -= e->v6 ? HEADERS_V6 : HEADERS_V4;
	sum += (__u64)bpf_htonl(udp + sizeof(struct udphdr)) + bpf_htonl(IPPROTO_UDP);
	check = fold16(fold32(sum));
	return bpf_skb_store_bytes(skb, CHECK_AT(e->v6), &check, sizeof(check), 0);
}

/* The template, whatever it was, becomes the parked packet. 0, or non-zero: no memory; its bytes may be anything then. */
static __noinline int unpark(struct __sk_buff *skb, const struct fanout_parked *e)
{
	__u32 length = e->length;
	enum summed before;

	if (take_family(skb, e->v6))
		return -1;
	before = summed(skb, CHECK_AT(e->v6));
	/* The device's sum is given up when the packet grows. */
	if (before == SUMMED_COMPLETE && bpf_skb_change_tail(skb, skb->len + 1, 0))
		return -1;
	if (bpf_skb_change_tail(skb, length, 0) || unpark_bytes(skb, e, length))
		return -1;
	return before == SUMMED_PARTIAL ? leave_checksum(skb, e, length) : 0;
}

/* The oldest that is parked, MOVING from now on, or NULL: those whose turn it is have a template. */
static __always_inline struct fanout_ticket *claim_parked(const struct fanout_stream *s, __u32 stream, __u32 carried,
							  __u32 *number)
{
	__u32 head = head_of(s);

	for (__u32 i = 0; i < FANOUT_CARRIED && i < carried; i++) {
		struct fanout_ticket *t = ticket_at(stream, head + i);

		if (t && *(volatile __u32 *)&t->number == head + i &&
		    turn(t, FANOUT_TICKET_PARKED, FANOUT_TICKET_MOVING)) {
			*number = head + i;
			return t;
		}
	}
	return NULL;
}

#endif
