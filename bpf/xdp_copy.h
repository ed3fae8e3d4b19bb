/* SPDX-License-Identifier: GPL-2.0-only */
/* Copies that XDP makes, on their way to a driver.
 *
 * The kernel gathers the frames for a device in batches of FANOUT_XDP_BATCH. As a batch leaves, three things happen on one
 * CPU, with nothing between them:
 *
 *   xdp_copy    for each frame: takes the viewer's lock and turns the frame into its copy, or drops it
 *   the driver  takes some of the frames that are left, in order: all, or those that it has room for
 *   xdp_settle  is told how many: their viewers have been served, the others try again; all locks are let go
 *
 * So a copy counts when the driver has taken it, as in TC, and is made exactly once for the same reasons.
 *
 * Where xdp_settle was not run (its process has been killed; a kernel may keep tracing programs out of some contexts) that is
 * noticed before anything else is made on this CPU: the frames were given to the driver, so they count as taken, and as
 * untold; the device is TC's for a while, which is told by the device's queue itself. */
#ifndef FANOUT_XDP_COPY_H
#define FANOUT_XDP_COPY_H

#include "clone.h"
#include "template.h"
#include "ticket.h"

#define NO_SLOT 0xffffffffu

/* `error` of settle(): nobody said what the driver took. */
#define UNTOLD 1

struct made {
	__u32 slot; /* locked; NO_SLOT: not ours */
	__u32 stream;
	__u32 number;
	__u32 offset; /* of the slot's position in the ticket's order */
	__u32 payload;
};

/* What has been made of the batch that is leaving. */
struct batch {
	__u32 egress; /* ifindex; 0: none is, the last one has been settled */
	__u32 frames; /* seen of it */
	__u32 made;   /* of these: copies, and frames of other programs that share the batch */
	__u64 now;    /* when its first frame was seen: reading the clock costs as much as the rest of a copy */
	/* The packet that the last frame was a copy of, and how far its viewers have been gone through. */
	__u32 stream;
	__u32 number;
	__u32 offset;
	__u32 lane_end; /* the offset that is not for this pass any more */
	__u32 running; /* ... is valid */
	__u32 stopped; /* no more of it in this batch */
	__u32 refused; /* by the driver, since the last that was given up; in here for the verifier (loop.h) */
	struct made copy[FANOUT_XDP_BATCH];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct batch);
} batches SEC(".maps");

static __always_inline struct batch *the_batch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&batches, &zero);
}

/* Offsets only grow, and all positions below have been gone through, whoever says so. */
static __always_inline void reach(struct fanout_stream *s, __u32 stream, struct fanout_ticket *t, __u32 number,
				  __u32 offset)
{
	if (t->number != number)
		return;
	if (t->offset < offset)
		t->offset = offset;
	if (t->offset >= t->span)
		end_ticket(s, stream, t, FANOUT_TICKET_DONE);
}

/* ---- a copy ------------------------------------------------------------------------------------------------- */

struct copying {
	struct pass p;
	__u32 egress;
	bool v6;    /* the frame's family */
	__s32 slot; /* of the viewer that is found and locked, or -1 */
};

/* DUE: locked, and its copy is to be made. */
static __always_inline enum served claim(struct fanout_viewer *v, struct copying *c)
{
	__u32 state = __sync_val_compare_and_swap(&v->state, FANOUT_VIEWER_ACTIVE, FANOUT_VIEWER_BUSY);
	enum served result;

	if (state == FANOUT_VIEWER_BUSY)
		return WAIT;
	if (state != FANOUT_VIEWER_ACTIVE)
		return SERVED;
	result = due(v, &c->p);
	if (result == DUE && (v->ifindex != c->egress || is_v6(v->address) != c->v6))
		result = WAIT; /* this frame goes to another device, or is of the other family: TC turns it over */
	else if (result == DUE && too_big(v, &c->p))
		result = drop_copy(v, &c->p, FANOUT_DROP_TOO_BIG);
	if (result != DUE)
		__sync_lock_test_and_set(&v->state, FANOUT_VIEWER_ACTIVE);
	return result;
}

static long claim_next(__u32 i, void *context)
{
	struct copying *c = context;
	__s32 slot = slot_of(c->p.s, position_at(c->p.start, c->p.span, c->p.offset));
	struct fanout_viewer *v;

	v = slot < 0 ? NULL : bpf_map_lookup_elem(&viewers, &slot);
	c->p.last = v ? claim(v, c) : SERVED;
	if (c->p.last == WAIT)
		return 1;
	if (c->p.last == DUE) {
		c->slot = slot;
		return 1;
	}
	c->p.offset++;
	return 0;
}

/* What the pass is about, from its ticket; false when that is not out. */
static __always_inline bool begin_pass(struct pass *p, __u32 stream, __u32 number)
{
	p->stream = stream;
	p->number = number;
	p->segments = 1;
	p->s = stream_at(stream);
	p->t = ticket_at(stream, number);
	if (!p->s || !p->t || p->t->number != number || p->t->state != FANOUT_TICKET_OUT)
		return false;
	p->kind = p->t->kind;
	p->thinned = p->t->layer.flags & (FANOUT_LAYER_COUNTS | FANOUT_LAYER_REPORT);
	p->start = p->t->start;
	p->span = p->t->span;
	p->offset = p->t->offset;
	return true;
}

/* The viewer that the next copy is for, locked, as an index into `viewers`; -1: there is none now. */
static __always_inline __s32 next_viewer(struct batch *b, struct copying *c, const struct fanout_global *g)
{
	if (!b->running || b->stream != c->p.stream || b->number != c->p.number) {
		b->stream = c->p.stream;
		b->number = c->p.number;
		b->offset = c->p.offset;
		b->lane_end = c->p.offset + rest_of_lane(g, c->p.start, c->p.span, c->p.offset);
		b->running = 1;
		b->stopped = 0;
	}
	if (b->stopped)
		return -1;
	c->p.offset = b->offset;
	c->p.now = b->now;
	if (c->p.offset < b->lane_end)
		bpf_loop(b->lane_end - c->p.offset, claim_next, c, 0);
	b->stopped = c->slot < 0;
	b->offset = c->p.offset + (c->slot >= 0);
	return c->slot;
}

/* ---- after the driver --------------------------------------------------------------------------------------- */

struct settling {
	struct batch *b;
	__u64 now;
	__u32 taken; /* the first of the batch; the driver left the others */
};

static __always_inline enum served settle_viewer(struct fanout_viewer *v, struct pass *p, struct settling *c, __u32 i)
{
	if (i < c->taken)
		return sent(v, p);
	if (c->b->refused++)
		return FULL; /* after the first: in order, so not before it */
	return refused(v, p);
}

static long settle_one(__u32 i, void *context)
{
	struct settling *c = context;
	struct made *made = &c->b->copy[i % FANOUT_XDP_BATCH];
	__u32 slot = made->slot, position;
	struct fanout_viewer *v = bpf_map_lookup_elem(&viewers, &slot);
	struct pass p = { .now = c->now, .kind = FANOUT_RTP, .segments = 1 };
	enum served result;

	if (slot == NO_SLOT || !v)
		return 0;
	p.stream = made->stream;
	p.number = made->number;
	p.payload = made->payload;
	p.s = stream_at(p.stream);
	p.t = ticket_at(p.stream, p.number);
	if (!p.s || !p.t)
		return 0; /* cannot be: it was found by them */
	p.kind = p.t->kind;
	result = settle_viewer(v, &p, c, i);
	__sync_lock_test_and_set(&v->state, FANOUT_VIEWER_ACTIVE);
	if (result == FULL)
		return 0;
	if (result == SERVED_FIRST) {
		position = p.t->start + made->offset;
		p.s->rotation = (position < p.t->span ? position : position - p.t->span) + 1;
	}
	if (p.t->number == p.number && p.t->offset <= made->offset)
		p.t->offset = made->offset + 1;
	if (i >= c->taken)
		c->b->refused = 0; /* given up: the next one is the first */
	return 0;
}

static __always_inline void note_device(const struct settling *c, int error)
{
	__u32 ifindex = c->b->egress;
	struct fanout_device *d = bpf_map_lookup_elem(&devices, &ifindex);

	if (!d)
		return;
	if (c->b->made)
		d->fruitless = 0;
	if (error == UNTOLD) {
		COUNT(d->untold, c->taken);
		d->off_until_ns = c->now + FANOUT_XDP_UNTOLD_NS;
	}
	if (c->taken)
		COUNT(d->copies, c->taken);
	if (c->b->made > c->taken) {
		COUNT(d->refused, c->b->made - c->taken);
		d->full_ns = c->now;
	}
	if (error < 0)
		d->off_until_ns = c->now + FANOUT_XDP_OFF_NS;
}

/* `taken` frames of the batch are with the driver, or it answered `error`. */
static __noinline int settle(struct batch *b, int taken, int error)
{
	struct settling c = { .b = b };
	struct fanout_stream *s;
	struct fanout_ticket *t;

	if (!b)
		return 0;
	c.now = bpf_ktime_get_ns();
	c.taken = taken < 0 ? 0 : taken;
	if (c.taken > b->made)
		c.taken = b->made;
	b->refused = 0;
	bpf_loop(b->made < FANOUT_XDP_BATCH ? b->made : FANOUT_XDP_BATCH, settle_one, &c, 0);
	s = stream_at(b->stream);
	t = ticket_at(b->stream, b->number);
	if (b->running && s && t && t->number == b->number)
		reach(s, b->stream, t, b->number, b->refused ? 0 : b->offset);
	note_device(&c, error);
	b->made = 0;
	b->frames = 0;
	b->running = 0;
	b->egress = 0;
	return 0;
}

/* Before anything else is made on this CPU: a batch that is still there was not settled when it left. */
static __always_inline void settle_untold(struct batch *b)
{
	if (b->egress)
		settle(b, b->made, UNTOLD);
}

/* A frame of a batch for that device. */
static __always_inline void note_frame(struct batch *b, __u32 egress)
{
	if (b->egress != egress || b->frames >= FANOUT_XDP_BATCH)
		settle_untold(b);
	if (!b->frames++)
		b->now = bpf_ktime_get_ns();
	b->egress = egress;
}

/* Where the next one of the batch is written down. There are no more than frames, hence FANOUT_XDP_BATCH. */
static __always_inline struct made *next_made(struct batch *b)
{
	return &b->copy[b->made++ % FANOUT_XDP_BATCH];
}

#endif
