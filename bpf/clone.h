/* SPDX-License-Identifier: GPL-2.0-only */
/* One copy to one viewer, under the viewer's lock, so that it is made exactly once and never after a delete. */
#ifndef FANOUT_CLONE_H
#define FANOUT_CLONE_H

#include "drop.h"
#include "family.h"
#include "rewrite.h"
#include "thin.h"

/* What became of a viewer's copy. */
enum served {
	SERVED,       /* done with this viewer: sent, dropped for a reason, or it is not due this packet */
	SERVED_FIRST, /* sent, and it was the first copy of the packet */
	WAIT,         /* an earlier packet has not been served to it yet */
	FULL,         /* its egress took nothing: try again later */
	DUE,          /* its copy is to be made now */
};

/* A pass: one service of one packet, for as many viewers as it may. */
struct pass {
	struct __sk_buff *skb;
	struct fanout_stream *s;
	struct fanout_ticket *t;
	__u64 now;
	__u32 stream;
	__u32 number; /* the packet's ticket */
	__u32 kind;
	__u32 payload;
	__u32 segments;
	__u32 segment;
	__u32 start;  /* position served first */
	__u32 span;
	__u32 offset; /* positions done */
	__u32 copies; /* made in this pass; begins as unknown_zero(), for serve_next */
	enum served last;
	enum summed summed; /* how skb's checksum is to be kept */
	__u32 thinned; /* not 0: not all viewers get it as it came */
};

/* __dev_queue_xmit's answers: NET_XMIT_DROP (1) took nothing; NET_XMIT_CN (2) took it but asks to slow down;
 * negative errno: no such device, device down, no memory. */
#define NET_XMIT_CN 2
#define NOMEM 12

static __always_inline enum served drop_copy(struct fanout_viewer *v, struct pass *p, enum fanout_drop reason)
{
	v->drops += p->kind == FANOUT_RTP ? p->segments : 1;
	count_drop(reason);
	v->next = p->number + 1;
	return SERVED;
}

/* The egress took nothing. Wait for it, but not for ever: a device that stays full for FANOUT_REFUSED_NS costs each of
 * its viewers this packet, and from then on whatever it does not take at once, so that it cannot hold up the others. */
static __always_inline enum served refused(struct fanout_viewer *v, struct pass *p)
{
	COUNT(p->s->egress_full, 1);
	if (!p->t->refused_ns)
		p->t->refused_ns = p->now;
	if (!v->refusing && p->now - p->t->refused_ns < FANOUT_REFUSED_NS)
		return FULL;
	v->refusing = 1;
	return drop_copy(v, p, FANOUT_DROP_EGRESS_REFUSED);
}

/* The egress took the copy. */
static __always_inline enum served sent(struct fanout_viewer *v, struct pass *p)
{
	p->t->refused_ns = 0;
	v->refusing = 0;
	v->next = p->number + 1;
	p->copies += p->segments; /* a GSO packet takes that many places in the egress's ring */
	if (p->kind == FANOUT_RTCP) {
		v->rtcp_packets++;
		return SERVED;
	}
	v->packets += p->segments;
	v->ends += !!(p->t->layer.flags & FANOUT_LAYER_END);
	v->bytes += p->payload;
	if (p->t->served++)
		return SERVED;
	v->first++;
	return SERVED_FIRST;
}

static __always_inline bool too_big(const struct fanout_viewer *v, const struct pass *p)
{
	__u32 ip = is_v6(v->address) ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	return p->segment + ip + sizeof(struct udphdr) > v->mtu;
}

/* Bytes behind the datagram (padding of short frames, or worse) are nobody's, and may be more than the egress takes. */
static __always_inline void trim(const struct pass *p)
{
	__u32 length = headers_of(p->skb) + p->payload;

	if (p->segments == 1 && p->skb->len > length)
		bpf_skb_change_tail(p->skb, length, 0);
}

static __always_inline enum served copy(struct fanout_viewer *v, struct pass *p)
{
	long taken;

	if (too_big(v, p))
		return drop_copy(v, p, FANOUT_DROP_TOO_BIG);
	trim(p);
	if (take_family(p->skb, is_v6(v->address)) || rewrite(p->skb, v, p->kind, p->summed, p->thinned))
		return drop_copy(v, p, FANOUT_DROP_NO_MEMORY);
	taken = bpf_clone_redirect(p->skb, v->ifindex, 0);
	if (taken == -NOMEM)
		return drop_copy(v, p, FANOUT_DROP_NO_MEMORY);
	if (taken < 0)
		return drop_copy(v, p, FANOUT_DROP_EGRESS_ERROR);
	if (taken && taken != NET_XMIT_CN)
		return refused(v, p);
	return sent(v, p);
}

/* Whether a packet before this one may still reach the viewer. `next` names the first it has not been served; if that is
 * not this one, those between are lost for good only when this one is the oldest that is out. */
static __always_inline bool must_wait(const struct fanout_viewer *v, const struct pass *p)
{
	return v->next != p->number && *(volatile __u32 *)&p->s->head != p->number;
}

/* A viewer that has come in the middle of a picture is held back until one begins, but not for ever. Not a drop. */
static __always_inline bool held_back(struct fanout_viewer *v, const struct pass *p)
{
	if (!v->hold_until_ns || p->kind != FANOUT_RTP)
		return false;
	if (p->t->begins || p->now >= v->hold_until_ns) {
		v->hold_until_ns = 0;
		return false;
	}
	v->held += p->segments;
	v->next = p->number + 1;
	return true;
}

/* SERVED, WAIT or DUE. Under the viewer's lock. */
static __always_inline enum served due(struct fanout_viewer *v, struct pass *p)
{
	if (v->stream != p->stream || v->generation != p->t->generation)
		return SERVED; /* the slot has moved to another stream since */
	if ((__s32)(v->next - p->number) > 0)
		return SERVED; /* it joined after this packet had come, or has got it already */
	if (must_wait(v, p))
		return WAIT;
	if (held_back(v, p))
		return SERVED;
	if (!p->thinned || thin(v, &p->t->layer))
		return DUE;
	v->next = p->number + 1;
	return SERVED;
}

static __always_inline enum served serve(struct fanout_viewer *v, struct pass *p)
{
	__u32 state = __sync_val_compare_and_swap(&v->state, FANOUT_VIEWER_ACTIVE, FANOUT_VIEWER_BUSY);
	enum served result;

	if (state == FANOUT_VIEWER_BUSY)
		return WAIT; /* another CPU serves it an earlier packet at this moment */
	if (state != FANOUT_VIEWER_ACTIVE)
		return SERVED;
	result = due(v, p);
	if (result == DUE)
		result = copy(v, p);
	__sync_lock_test_and_set(&v->state, FANOUT_VIEWER_ACTIVE);
	return result;
}

#endif
