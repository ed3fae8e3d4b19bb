/* SPDX-License-Identifier: GPL-2.0-only */
/* One service of a packet for TC: as many of the viewers whose turn it is as may be served at once, on this CPU. */
#ifndef FANOUT_SERVE_H
#define FANOUT_SERVE_H

#include "clone.h"
#include "lane.h"
#include "maps.h"
#include "ticket.h"

static long serve_next(__u32 i, void *context)
{
	struct pass *p = context;
	__u32 position = position_at(p->start, p->span, p->offset);
	struct fanout_viewer *v;
	__s32 slot;

	slot = slot_of(p->s, position);
	v = slot < 0 ? NULL : bpf_map_lookup_elem(&viewers, &slot);
	p->last = v ? serve(v, p) : SERVED;
	if (p->last == WAIT || p->last == FULL)
		return 1;
	if (p->last == SERVED_FIRST)
		p->s->rotation = position + 1; /* the next packet begins with the next viewer */
	p->offset++;
	return p->copies >= FANOUT_PASS_COPIES;
}

/* Serves as many viewers as it may. True when none is left. */
static __always_inline bool serve_some(struct pass *p, const struct fanout_global *g)
{
	__u32 before = p->copies;

	if (p->t->start == FANOUT_NO_START)
		choose_first(p->s, p->t);
	if (is_elsewhere(p->s, p->t, g, p->stream))
		return false;
	p->start = p->t->start;
	p->span = p->t->span;
	p->offset = p->t->offset;
	p->skb->queue_mapping = queue_of(bpf_get_smp_processor_id());
	p->kind = p->t->kind;
	p->thinned = p->t->layer.flags & (FANOUT_LAYER_COUNTS | FANOUT_LAYER_REPORT);
	p->summed = summed(p->skb, CHECK_AT(p->skb->protocol == bpf_htons(ETH_P_IPV6)));
	COUNT(p->s->passes, 1);
	if (p->offset < p->span)
		bpf_loop(rest_of_lane(g, p->start, p->span, p->offset), serve_next, p, 0);
	if (p->last == WAIT && p->copies == before)
		COUNT(p->s->waits, 1);
	p->t->offset = p->offset;
	return p->offset >= p->span;
}

#endif
