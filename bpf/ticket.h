/* SPDX-License-Identifier: GPL-2.0-only */
/* Tickets: who may be served when.
 *
 * N copies of a packet do not fit into any queue when N is large or packets come in bursts. So a packet is served in
 * passes; between them it waits, as a template, in the queue of a private veth pair. Each packet of a stream has a
 * ticket, numbered in order of arrival:
 *
 *      head (oldest that is out)          tail (next number)
 *       v                                  v
 *   ... 41:out  42:done  43:out  44:dead  45
 *
 * What holds, whatever templates and CPUs do:
 *  - a viewer is served packet t only when `next` says it has had all before t, or they can no longer come; then `next`
 *    becomes t + 1. Hence never twice and never out of order, even if a template came round twice.
 *  - the packet at head waits for nobody but the egress, and for that at most FANOUT_REFUSED_NS. Hence it always ends.
 *  - a template that dies is noticed (its queue is first in, first out, so it cannot be overtaken for ever: reap) and
 *    its ticket given up. Hence no stall. Time decides nothing while templates come round, however starved the CPU is.
 *  - tail - head <= FANOUT_STREAM_IN_FLIGHT < FANOUT_TICKETS, so no ticket is overwritten while out.
 *  - in_flight changes by one with each ticket's way into and out of FANOUT_TICKET_OUT, both atomic.
 */
#ifndef FANOUT_TICKET_H
#define FANOUT_TICKET_H

#include "drop.h"
#include "packet.h"

#define TAKE_TRIES 8 /* CPUs that may race for the same number */

struct advance {
	struct fanout_stream *s;
	__u32 stream;
};

static long advance_one(__u32 i, void *context)
{
	struct advance *c = context;
	__u32 head = *(volatile __u32 *)&c->s->head;
	struct fanout_ticket *t;

	if (head == *(volatile __u32 *)&c->s->tail)
		return 1;
	t = ticket_at(c->stream, head);
	if (!t || t->number != head || *(volatile __u32 *)&t->state == FANOUT_TICKET_OUT)
		return 1;
	__sync_val_compare_and_swap(&c->s->head, head, head + 1);
	return 0;
}

/* Moves head past every ticket that is no longer out. */
static __always_inline void advance(struct fanout_stream *s, __u32 stream)
{
	struct advance c = { .s = s, .stream = stream };

	bpf_loop(FANOUT_TICKETS, advance_one, &c, 0);
}

/* A ticket's end; true for the one caller that brings it about. */
static __always_inline bool end_ticket(struct fanout_stream *s, __u32 stream, struct fanout_ticket *t, __u32 state)
{
	struct fanout_global *g = the_global();

	if (__sync_val_compare_and_swap(&t->state, FANOUT_TICKET_OUT, state) != FANOUT_TICKET_OUT)
		return false;
	if (g)
		COUNT(g->in_flight, -1);
	advance(s, stream);
	return true;
}

/* A pass of a template: when, and after how many others in its queue. */
static __always_inline void note_pass(struct fanout_ticket *t, struct fanout_global *g, __u64 now)
{
	t->seen_ns = now;
	t->seen_pass = COUNT(g->passes[t->room % FANOUT_ROOMS], 1);
	g->pass_ns = now;
}

/* Gives up the oldest ticket if its template is gone: it holds everybody up. */
static __always_inline void reap(struct fanout_stream *s, __u32 stream, struct fanout_global *g, __u64 now)
{
	__u32 head = *(volatile __u32 *)&s->head;
	struct fanout_ticket *t = ticket_at(stream, head);
	__u32 overtaken;

	if (head == *(volatile __u32 *)&s->tail || !t || t->number != head || t->state != FANOUT_TICKET_OUT)
		return;
	overtaken = *(volatile __u32 *)&g->passes[t->room % FANOUT_ROOMS] - t->seen_pass;
	if (overtaken < FANOUT_OVERDUE_PASSES &&
	    ((__s64)(now - t->seen_ns) < (__s64)FANOUT_LOST_NS || (__s64)(now - g->pass_ns) < (__s64)FANOUT_LOST_NS))
		return;
	if (end_ticket(s, stream, t, FANOUT_TICKET_DEAD))
		count_drop(FANOUT_DROP_TICKET_LOST);
}

/* The packet's last copies may be made while its template is on its way: then that has nothing left to do. */
static __always_inline bool is_done(const struct fanout_ticket *t, __u32 number)
{
	return t && t->number == number && t->state == FANOUT_TICKET_DONE;
}

struct take {
	struct fanout_stream *s;
	__u32 number;
	bool taken;
};

static long take_one(__u32 i, void *context)
{
	struct take *c = context;
	__u32 tail = *(volatile __u32 *)&c->s->tail;

	if (tail - *(volatile __u32 *)&c->s->head >= FANOUT_STREAM_IN_FLIGHT)
		return 1;
	c->taken = __sync_val_compare_and_swap(&c->s->tail, tail, tail + 1) == tail;
	c->number = tail;
	return c->taken;
}

/* A ticket for a packet that has just come, or NULL: all are out. */
static __always_inline struct fanout_ticket *take_ticket(struct fanout_stream *s, const struct packet *in,
							 struct fanout_global *g, __u32 room, __u64 now)
{
	struct take c = { .s = s };
	struct fanout_ticket *t;

	if (COUNT(g->in_flight, 1) >= FANOUT_TOTAL_IN_FLIGHT)
		goto refuse;
	bpf_loop(TAKE_TRIES, take_one, &c, 0);
	if (!c.taken)
		goto refuse;
	t = ticket_at(in->stream, c.number);
	if (!t)
		goto refuse; /* cannot be: the index is bounded by its making */
	t->start = FANOUT_NO_START;
	t->span = s->span;
	t->offset = 0;
	t->served = 0;
	t->begins = in->begins;
	t->kind = in->kind;
	t->generation = in->generation;
	t->room = room;
	t->seen_ns = now;
	t->seen_pass = *(volatile __u32 *)&g->passes[room % FANOUT_ROOMS];
	t->refused_ns = 0;
	t->number = c.number;
	__sync_lock_test_and_set(&t->state, FANOUT_TICKET_OUT);
	return t;
refuse:
	COUNT(g->in_flight, -1);
	return NULL;
}

#endif
