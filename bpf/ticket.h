/* SPDX-License-Identifier: GPL-2.0-only */
/* Tickets: who may be served when.
 *
 * N copies of a packet do not fit into any queue when N is large or packets come in bursts. So a packet is served in
 * passes; between them a template carries it through the queue of a private veth pair. Each packet of a stream has a
 * ticket, numbered in order of arrival:
 *
 *      head (oldest that is not over)              tail (next number)
 *       v                                           v
 *   ... 41:out  42:out  43:parked  44:parked  45:moving  46
 *
 * Only the oldest few are carried. The others are parked in a map (parked.h), where they cost nothing, until a template
 * has ended its packet and takes up the next: templates that only wait would take the time of those with work to do.
 *
 *   moving --+--> out -----> done        what an arriving packet, or the template that takes one up, makes of it
 *     ^      +--> parked      |
 *     +-----------+           +--> dead  its template was lost
 *
 * What holds, whatever templates and CPUs do:
 *  - a viewer is served packet t only when `next` says it has had all before t, or they can no longer come; then `next`
 *    becomes t + 1. Hence never twice and never out of order, even if a template came round twice.
 *  - the packet at head waits for nobody but the egress, and for that at most FANOUT_REFUSED_NS. Hence it always ends.
 *  - a template that dies is noticed (its queue is first in, first out, so it cannot be overtaken for ever: reap) and
 *    its ticket given up. Hence no stall. Time alone decides nothing while templates come round, however starved the CPU is.
 *  - a packet that is parked is taken up: either the template that moved head to it sees it parked, or the CPU that parked
 *    it sees that head is there (both look after they have written). If the template was lost, the next one that comes
 *    by or the next packet sends another (wake).
 *  - tail - head <= FANOUT_STREAM_IN_FLIGHT < FANOUT_TICKETS, so no ticket is overwritten before it is over.
 *  - every change of state is an atomic compare and swap; in_flight changes by one with each way into and out of OUT.
 */
#ifndef FANOUT_TICKET_H
#define FANOUT_TICKET_H

#include "drop.h"
#include "packet.h"

#define TAKE_TRIES 8 /* CPUs that may race for the same number */

/* To another state; false: it was not in the one it was thought to be in. */
static __always_inline bool turn(struct fanout_ticket *t, __u32 from, __u32 to)
{
	return __sync_val_compare_and_swap(&t->state, from, to) == from;
}

static __always_inline __u32 state_of(const struct fanout_ticket *t)
{
	return *(volatile __u32 *)&t->state;
}

static __always_inline __u32 head_of(const struct fanout_stream *s)
{
	return *(volatile __u32 *)&s->head;
}

struct advance {
	struct fanout_stream *s;
	__u32 stream;
};

static long advance_one(__u32 i, void *context)
{
	struct advance *c = context;
	__u32 head = head_of(c->s), state;
	struct fanout_ticket *t;

	if (head == *(volatile __u32 *)&c->s->tail)
		return 1;
	t = ticket_at(c->stream, head);
	if (!t || *(volatile __u32 *)&t->number != head)
		return 1;
	state = state_of(t);
	if (state != FANOUT_TICKET_DONE && state != FANOUT_TICKET_DEAD)
		return 1;
	__sync_val_compare_and_swap(&c->s->head, head, head + 1);
	return 0;
}

/* Moves head past every ticket that is over. */
static __always_inline void advance(struct fanout_stream *s, __u32 stream)
{
	struct advance c = { .s = s, .stream = stream };

	bpf_loop(FANOUT_TICKETS, advance_one, &c, 0);
}

/* A ticket's end; true for the one caller that brings it about. */
static __always_inline bool end_ticket(struct fanout_stream *s, __u32 stream, struct fanout_ticket *t, __u32 state)
{
	struct fanout_global *g = the_global();

	if (!turn(t, FANOUT_TICKET_OUT, state))
		return false;
	if (g)
		COUNT(g->in_flight, -1);
	advance(s, stream);
	return true;
}

/* The end of one that nobody carries yet. */
static __always_inline void give_up(struct fanout_stream *s, __u32 stream, struct fanout_ticket *t)
{
	if (turn(t, FANOUT_TICKET_MOVING, FANOUT_TICKET_DEAD))
		advance(s, stream);
}

/* The ticket, which is the caller's, becomes a template's. False: there are too many templates; it is the caller's still. Or
 * the stream has been closed. */
static __always_inline bool carry(struct fanout_ticket *t, struct fanout_global *g, __u32 room, __u64 now)
{
	if (COUNT(g->in_flight, 1) < FANOUT_TOTAL_IN_FLIGHT) {
		t->room = room;
		t->seen_ns = now;
		t->seen_pass = *(volatile __u32 *)&g->passes[room % FANOUT_ROOMS];
		if (turn(t, FANOUT_TICKET_MOVING, FANOUT_TICKET_OUT))
			return true;
	}
	COUNT(g->in_flight, -1);
	return false;
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
	__u32 head = head_of(s);
	struct fanout_ticket *t = ticket_at(stream, head);
	__s64 unseen;
	__u32 overtaken;

	if (head == *(volatile __u32 *)&s->tail || !t || t->number != head || state_of(t) != FANOUT_TICKET_OUT)
		return;
	unseen = now - t->seen_ns;
	overtaken = *(volatile __u32 *)&g->passes[t->room % FANOUT_ROOMS] - t->seen_pass;
	if ((overtaken < FANOUT_OVERDUE_PASSES || unseen < (__s64)FANOUT_OVERDUE_NS) &&
	    (unseen < (__s64)FANOUT_LOST_NS || (__s64)(now - g->pass_ns) < (__s64)FANOUT_LOST_NS))
		return;
	if (!end_ticket(s, stream, t, FANOUT_TICKET_DEAD))
		return;
	count_drop(FANOUT_DROP_TICKET_LOST);
	g->cpus = 0; /* on its way to another CPU, most likely, whose backlog was full (lane.h) */
}

/* The packet's last copies may be made while its template is on its way: then that has nothing left to do. */
static __always_inline bool is_done(const struct fanout_ticket *t, __u32 number)
{
	return t && t->number == number && state_of(t) == FANOUT_TICKET_DONE;
}

static __always_inline bool is_head_parked(const struct fanout_stream *s, __u32 stream)
{
	__u32 head = head_of(s);
	const struct fanout_ticket *t = ticket_at(stream, head);

	return t && *(volatile __u32 *)&t->number == head && state_of(t) == FANOUT_TICKET_PARKED;
}

/* A template that has nothing to do would have something to take up. */
static __always_inline bool is_any_parked(const struct fanout_stream *s, __u32 stream, __u32 carried)
{
	__u32 head = head_of(s);

	for (__u32 i = 0; i < FANOUT_CARRIED && i < carried; i++) {
		const struct fanout_ticket *t = ticket_at(stream, head + i);

		if (t && *(volatile __u32 *)&t->number == head + i && state_of(t) == FANOUT_TICKET_PARKED)
			return true;
	}
	return false;
}

struct take {
	struct fanout_stream *s;
	__u32 most;
	__u32 number;
	bool taken;
};

static long take_one(__u32 i, void *context)
{
	struct take *c = context;
	__u32 tail = *(volatile __u32 *)&c->s->tail;

	if (tail - head_of(c->s) >= c->most)
		return 1;
	c->taken = __sync_val_compare_and_swap(&c->s->tail, tail, tail + 1) == tail;
	c->number = tail;
	return c->taken;
}

/* How many may be in use for it to get one: the last are the base layer's. */
static __always_inline __u32 most_tickets(const struct packet *in)
{
	return FANOUT_STREAM_IN_FLIGHT - (in->layer && in->layer->layer ? FANOUT_BASE_TICKETS : 0);
}

/* A ticket for a packet that has just come, MOVING, or NULL: `most` are in use. */
static __always_inline struct fanout_ticket *take_ticket(struct fanout_stream *s, const struct packet *in, __u32 most)
{
	struct take c = { .s = s, .most = most };
	struct fanout_ticket *t;

	bpf_loop(TAKE_TRIES, take_one, &c, 0);
	if (!c.taken)
		return NULL;
	t = ticket_at(in->stream, c.number);
	if (!t)
		return NULL; /* cannot be: the index is bounded by its making */
	t->start = FANOUT_NO_START;
	t->span = s->span;
	t->offset = 0;
	t->moved = 0;
	t->served = 0;
	t->begins = in->begins;
	t->kind = in->kind;
	if (in->layer && in->layer->flags & FANOUT_LAYER_COUNTS)
		t->layer = *in->layer;
	else
		t->layer.flags = 0;
	t->generation = in->generation;
	t->refused_ns = 0;
	/* The number last: whoever finds it finds the state that goes with it. */
	__sync_lock_test_and_set(&t->state, FANOUT_TICKET_MOVING);
	__sync_lock_test_and_set(&t->number, c.number);
	return t;
}

#endif
