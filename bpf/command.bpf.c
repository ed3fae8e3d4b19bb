// SPDX-License-Identifier: GPL-2.0-only
/* Commands from the control plane: add, delete, flush, loss and what goes with them. Run with BPF_PROG_RUN: one system
 * call each, the command is the context and the answer comes back in it.
 *
 * The control plane is the only caller and runs one command at a time; packets are being served meanwhile. What both
 * touch is ordered so that a packet sees either all of a change or nothing: fields first, then the state that makes them
 * count. */
#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "slot.h"
#include "stream.h"

char LICENSE[] SEC("license") = "GPL";

/* An enum is in an object's type information only when something has its type; the ABI generator wants all of them. */
const volatile struct {
	enum fanout_version version;
	enum fanout_limit limit;
	enum fanout_drop drop;
	enum fanout_kind kind;
	enum fanout_codec codec;
	enum fanout_stream_state stream_state;
	enum fanout_viewer_state viewer_state;
	enum fanout_ticket_state ticket_state;
	enum fanout_op op;
	enum fanout_notion notion;
	enum fanout_layer_flag layer_flag;
} names = {};

/* ---- hello -------------------------------------------------------------------------------------------------- */

static __always_inline int hello(struct fanout_command *c, struct fanout_global *g)
{
	const struct fanout_hello *h = &c->hello;

	if (h->abi_version != FANOUT_ABI_VERSION || h->command_size != sizeof(struct fanout_command) ||
	    h->stream_size != sizeof(struct fanout_stream) || h->viewer_size != sizeof(struct fanout_viewer) ||
	    h->ticket_size != sizeof(struct fanout_ticket) || h->reception_size != sizeof(struct fanout_reception) ||
	    h->global_size != sizeof(struct fanout_global))
		return -EPROTO;
	g->recirculate_ifindex = h->recirculate_ifindex;
	for (int i = 0; i < 6; i++)
		g->template_mac[i] = h->template_mac[i];
	g->agreed = FANOUT_ABI_VERSION;
	return 0;
}

/* ---- viewers ------------------------------------------------------------------------------------------------ */

static __always_inline void set_hop(struct fanout_viewer *v, const struct fanout_next_hop *hop)
{
	v->ifindex = hop->ifindex;
	v->mtu = hop->mtu;
	for (int i = 0; i < 6; i++) {
		v->source_mac[i] = hop->source_mac[i];
		v->mac[i] = hop->mac[i];
	}
}

/* The slot's state last: a packet that sees it ACTIVE sees the rest. */
static __always_inline void fill_slot(struct fanout_viewer *v, const struct fanout_command *c, const struct fanout_stream *s)
{
	const struct fanout_add *a = &c->add;

	v->stream = c->stream;
	v->generation = s->generation;
	v->id = a->id;
	v->ttl = a->ttl;
	v->verbatim = a->verbatim;
	v->allowance = v->level = v->goal = v->former_level = FANOUT_TOP_LAYER;
	v->base = v->former_base = v->since = v->former_since = v->started = v->withheld = v->epoch = 0;
	v->rtp_start = 0;
	v->thinned_packets = v->thinned_bytes = v->thinned_octets = v->ends = 0;
	v->counting = s->counting;
	v->former_packets = v->former_octets = 0;
	__builtin_memcpy(v->source, a->source, sizeof(v->source));
	__builtin_memcpy(v->address, a->address, sizeof(v->address));
	for (int i = 0; i < FANOUT_KINDS; i++) {
		v->source_port[i] = a->source_port[i];
		v->port[i] = a->port[i];
	}
	set_hop(v, &a->hop);
	v->packets = v->bytes = v->rtcp_packets = v->drops = v->held = 0;
	v->first = v->refusing = v->loss_fraction = v->loss_cumulative = v->loss_jitter = 0;
	v->added_ns = bpf_ktime_get_ns();
	v->hold_until_ns = a->hold_ms ? v->added_ns + a->hold_ms * 1000000ull : 0;
}

/* A virtual CPU may stand still for as long as its host likes, with a slot locked. */
#define PATIENCE 8

/* From which ticket on the slot, which is active now, is served for certain; -EAGAIN when that is not `from`. Tickets that
 * were taken before the slot was active may have passed it by; but when `from` itself has reached it, so do all later. */
static __always_inline int served_from(struct fanout_viewer *v, const struct fanout_stream *s, __u32 from)
{
	int error = -EBUSY;

	if (__sync_fetch_and_add((__u32 *)&s->tail, 0) == from || *(volatile __u32 *)&v->next != from)
		return 0;
	for (int i = 0; i < PATIENCE && error == -EBUSY; i++)
		error = take_slot(v, FANOUT_VIEWER_BUSY);
	if (error)
		return 0; /* whoever holds it stands still: rather a gap than a slot that nobody knows of */
	if (v->next == from) {
		__sync_lock_test_and_set(&v->state, FANOUT_VIEWER_FREE);
		return -EAGAIN;
	}
	release_slot(v); /* it was served at the last moment */
	return 0;
}

static __always_inline __u32 first_of(const struct fanout_add *a, struct fanout_stream *s)
{
	return a->exact ? a->from : __sync_fetch_and_add(&s->tail, 0);
}

/* Every packet from the slot's `next` on reaches the viewer, so all that take a ticket after this has returned; none before it does.
 * `next` is `from` when `exact` is asked for. */
static __always_inline int add(struct fanout_command *c, struct fanout_global *g)
{
	const struct fanout_add *a = &c->add;
	struct fanout_stream *s = stream_at(c->stream);
	struct fanout_viewer *v;
	__u32 position;
	__s32 slot;
	int error;

	if (!a->id || !a->hop.ifindex)
		return -EINVAL;
	if (!s || s->state != FANOUT_STREAM_OPEN)
		return -ENOENT;
	error = find_place(s, c->stream, g, &position);
	if (error)
		return error;
	slot = slot_of(s, position);
	v = slot < 0 ? NULL : bpf_map_lookup_elem(&viewers, &slot);
	if (!v)
		return -ENOSPC;
	fill_slot(v, c, s);
	if (position >= s->span)
		s->span = position + 1;
	/* Full barriers on both sides of reading tail: a packet with a later ticket sees the span, and a slot that it waits for rather
	 * than pass it by. `next` may be looked at as soon as it does. */
	__sync_fetch_and_add(&s->viewers, 1);
	__sync_lock_test_and_set(&v->next, first_of(a, s));
	__sync_lock_test_and_set(&v->state, FANOUT_VIEWER_BUSY);
	__sync_lock_test_and_set(&v->next, first_of(a, s));
	__sync_lock_test_and_set(&v->state, FANOUT_VIEWER_ACTIVE);
	error = a->exact ? served_from(v, s, a->from) : 0;
	if (error) {
		__sync_fetch_and_add(&s->viewers, -1);
		return error;
	}
	s->free_hint = position + 1;
	c->slot = slot;
	return 0;
}

static __always_inline struct fanout_viewer *viewer_of(const struct fanout_command *c)
{
	__u32 slot = c->slot;
	struct fanout_viewer *v = bpf_map_lookup_elem(&viewers, &slot);

	return v && v->id == c->id && v->state != FANOUT_VIEWER_FREE ? v : NULL;
}

/* The stream's position that a slot is at: pages are few, and this is not the packet path. */
struct locate {
	const struct fanout_stream *s;
	__u32 page;
	__u32 found;
};

static long locate_page(__u32 i, void *context)
{
	struct locate *c = context;

	if (c->s->page[i % FANOUT_STREAM_PAGES] != c->page)
		return 0;
	c->found = i;
	return 1;
}

/* When this has returned no further copy is made for the viewer, and its slot may be used again at once: packets that are
 * under way skip whoever gets it, by `next`. */
static __always_inline int delete(struct fanout_command *c)
{
	struct fanout_viewer *v = viewer_of(c);
	struct fanout_stream *s = v ? stream_at(v->stream) : NULL;
	struct locate l = { .s = s, .page = c->slot / FANOUT_PAGE_SLOTS + 1 };
	int error;

	if (!v || !s)
		return -ENOENT;
	error = take_slot(v, FANOUT_VIEWER_FREE);
	if (error)
		return error;
	bpf_loop(FANOUT_STREAM_PAGES, locate_page, &l, 0);
	l.found = l.found * FANOUT_PAGE_SLOTS + c->slot % FANOUT_PAGE_SLOTS;
	if (l.found < s->free_hint)
		s->free_hint = l.found;
	if (l.found + 1 == s->span)
		trim_span(s);
	__sync_fetch_and_add(&s->viewers, -1);
	return 0;
}

/* The stream first: a packet that comes later than this has what thinning needs (layering.h). */
static __always_inline void allow(struct fanout_viewer *v, __u8 allowance)
{
	struct fanout_stream *s = stream_at(v->stream);

	if (s && allowance < FANOUT_TOP_LAYER)
		__sync_lock_test_and_set(&s->thinned, 1);
	v->allowance = allowance;
}

static __always_inline int change(struct fanout_command *c)
{
	struct fanout_viewer *v = viewer_of(c);
	int error;

	if (!v)
		return -ENOENT;
	if (c->op == FANOUT_OP_NEXT_HOP && !c->hop.ifindex)
		return -EINVAL;
	if (c->op == FANOUT_OP_ALLOW && c->value > FANOUT_TOP_LAYER)
		return -EINVAL;
	error = take_slot(v, FANOUT_VIEWER_BUSY);
	if (error)
		return error;
	if (c->op == FANOUT_OP_NEXT_HOP) {
		set_hop(v, &c->hop);
	} else if (c->op == FANOUT_OP_ALLOW) {
		allow(v, c->value);
	} else {
		v->loss_fraction = c->loss.fraction;
		v->loss_cumulative = c->loss.cumulative;
		v->loss_jitter = c->loss.jitter;
	}
	release_slot(v);
	return 0;
}

static __always_inline int set(struct fanout_command *c)
{
	struct fanout_stream *s = stream_at(c->stream);

	if (!s || s->state != FANOUT_STREAM_OPEN)
		return -ENOENT;
	if (c->op == FANOUT_OP_PASS_UP)
		s->pass_up = c->value;
	else
		s->joining = c->value;
	return 0;
}

static __always_inline int close_one(struct fanout_command *c, struct fanout_global *g)
{
	struct fanout_stream *s = stream_at(c->stream);

	return s && s->state == FANOUT_STREAM_OPEN ? close_stream(s, c->stream, g) : -ENOENT;
}

/* ---- dispatch ----------------------------------------------------------------------------------------------- */

static __always_inline int run(struct fanout_command *c, struct fanout_global *g)
{
	if (c->op == FANOUT_OP_HELLO)
		return hello(c, g);
	if (!g->agreed)
		return -EPROTO;
	switch (c->op) {
	case FANOUT_OP_OPEN:
		return open_stream(c);
	case FANOUT_OP_RETARGET:
		return retarget_stream(c);
	case FANOUT_OP_CLOSE:
		return close_one(c, g);
	case FANOUT_OP_ADD:
		return add(c, g);
	case FANOUT_OP_DELETE:
		return delete(c);
	case FANOUT_OP_FLUSH:
		return flush(g);
	case FANOUT_OP_LOSS:
	case FANOUT_OP_NEXT_HOP:
	case FANOUT_OP_ALLOW:
		return change(c);
	case FANOUT_OP_PASS_UP:
	case FANOUT_OP_JOINING:
		return set(c);
	default:
		return -EINVAL;
	}
}

#define COMMAND_WORDS (sizeof(struct fanout_command) / sizeof(__u32))

SEC("syscall")
int command(struct fanout_command *context)
{
	struct fanout_global *g = the_global();
	struct fanout_command c;

	/* The verifier wants constant offsets into the context, which pointers into it are not: work on a copy. */
	for (int i = 0; i < COMMAND_WORDS; i++)
		((__u32 *)&c)[i] = ((volatile __u32 *)context)[i];
	asm volatile("" ::: "memory");
	context->result = g ? run(&c, g) : -EINVAL;
	context->stream = c.stream;
	context->slot = c.slot;
	return 0;
}
