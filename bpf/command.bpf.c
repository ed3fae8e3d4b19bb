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
#include <bpf/bpf_helpers.h>

#include "maps.h"

char LICENSE[] SEC("license") = "GPL";

/* An enum is in an object's type information only when something has its type; the ABI generator wants all of them. */
const volatile struct {
	enum fanout_version version;
	enum fanout_limit limit;
	enum fanout_drop drop;
	enum fanout_kind kind;
	enum fanout_stream_state stream_state;
	enum fanout_viewer_state viewer_state;
	enum fanout_ticket_state ticket_state;
	enum fanout_op op;
} names = {};

/* A copy takes about a microsecond, so a slot is never locked for long: a million tries are far beyond that. */
#define LOCK_TRIES (1 << 20)

/* ---- a viewer's lock ---------------------------------------------------------------------------------------- */

struct lock {
	struct fanout_viewer *v;
	__u32 to;   /* enum fanout_viewer_state */
	__u32 held; /* the state that was found last */
};

static long lock_once(__u32 i, void *context)
{
	struct lock *c = context;

	c->held = __sync_val_compare_and_swap(&c->v->state, FANOUT_VIEWER_ACTIVE, c->to);
	return c->held != FANOUT_VIEWER_BUSY;
}

/* Turns an active slot to `to` once no copy is being made for it: 0, -ENOENT (slot is free) or -EBUSY. */
static __always_inline int take_slot(struct fanout_viewer *v, __u32 to)
{
	struct lock c = { .v = v, .to = to, .held = FANOUT_VIEWER_BUSY };

	bpf_loop(LOCK_TRIES, lock_once, &c, 0);
	if (c.held == FANOUT_VIEWER_ACTIVE)
		return 0;
	return c.held == FANOUT_VIEWER_BUSY ? -EBUSY : -ENOENT;
}

static __always_inline void release_slot(struct fanout_viewer *v)
{
	__sync_lock_test_and_set(&v->state, FANOUT_VIEWER_ACTIVE);
}

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
	g->agreed = 1;
	return 0;
}

/* ---- streams ------------------------------------------------------------------------------------------------ */

struct find {
	__u32 found;
	bool ok;
};

static long find_stream(__u32 i, void *context)
{
	struct find *c = context;
	struct fanout_stream *s = stream_at(i);

	if (!s || s->state != FANOUT_STREAM_FREE)
		return 0;
	c->found = i;
	c->ok = true;
	return 1;
}

static __always_inline void listen_key(struct fanout_listen_key *key, const __u8 address[16], __be16 port)
{
	__builtin_memcpy(key->address, address, sizeof(key->address));
	key->port = port;
	key->pad = 0;
}

static __always_inline int listen_on(const struct fanout_stream *s, __u32 stream, __u32 kind)
{
	struct fanout_listen_key key;
	struct fanout_listen value = { .stream = stream, .kind = kind };

	listen_key(&key, s->local, s->local_port[kind]);
	return bpf_map_update_elem(&listen, &key, &value, BPF_NOEXIST);
}

static __always_inline void listen_no_more(const struct fanout_stream *s, __u32 kind)
{
	struct fanout_listen_key key;

	listen_key(&key, s->local, s->local_port[kind]);
	bpf_map_delete_elem(&listen, &key);
}

static __always_inline int open_stream(struct fanout_command *c)
{
	const struct fanout_open *o = &c->open;
	struct find free = {};
	struct fanout_stream *s;
	int error;

	bpf_loop(FANOUT_MAX_STREAMS, find_stream, &free, 0);
	if (!free.ok)
		return -ENOSPC;
	s = stream_at(free.found);
	if (!s)
		return -EINVAL;
	s->generation++;
	__builtin_memcpy(s->source, o->source, sizeof(s->source));
	__builtin_memcpy(s->local, o->local, sizeof(s->local));
	for (int i = 0; i < FANOUT_KINDS; i++) {
		s->source_port[i] = o->source_port[i];
		s->local_port[i] = o->local_port[i];
	}
	s->clock_rate = o->clock_rate;
	s->pass_up = s->viewers = s->span = s->free_hint = s->rotation = 0;
	s->packets = s->bytes = s->rtcp_packets = s->refused = s->passes = s->waits = s->egress_full = 0;
	__sync_lock_test_and_set(&s->state, FANOUT_STREAM_OPEN);
	error = listen_on(s, free.found, FANOUT_RTP);
	if (!error) {
		error = listen_on(s, free.found, FANOUT_RTCP);
		if (error)
			listen_no_more(s, FANOUT_RTP);
	}
	if (error) {
		__sync_lock_test_and_set(&s->state, FANOUT_STREAM_FREE);
		return error;
	}
	c->stream = free.found;
	return 0;
}

struct closing {
	struct fanout_stream *s;
	struct fanout_global *g;
	__u32 stream;
	int error;
};

static long free_slot(__u32 position, void *context)
{
	struct closing *c = context;
	__s32 slot = slot_of(c->s, position);
	struct fanout_viewer *v = slot < 0 ? NULL : bpf_map_lookup_elem(&viewers, &slot);

	if (v && take_slot(v, FANOUT_VIEWER_FREE) == -EBUSY)
		c->error = -EBUSY;
	return 0;
}

static long free_page(__u32 i, void *context)
{
	struct closing *c = context;
	__u32 page = c->s->page[i % FANOUT_STREAM_PAGES], *owner;

	if (!page)
		return 1;
	page--;
	c->s->page[i % FANOUT_STREAM_PAGES] = 0;
	owner = bpf_map_lookup_elem(&pages, &page);
	if (owner)
		*owner = 0;
	if (page < c->g->page_hint)
		c->g->page_hint = page;
	return 0;
}

/* Tickets that are still out end here; their templates find that when they come round. `tail` goes on counting when the
 * slot is opened again, so such a template never meets a ticket of its own number. */
static long kill_ticket(__u32 i, void *context)
{
	struct closing *c = context;
	struct fanout_ticket *t = ticket_at(c->stream, i);

	if (t && __sync_val_compare_and_swap(&t->state, FANOUT_TICKET_OUT, FANOUT_TICKET_DEAD) == FANOUT_TICKET_OUT)
		__sync_fetch_and_add(&c->g->in_flight, -1);
	return 0;
}

static __always_inline int close_stream(struct fanout_stream *s, __u32 stream, struct fanout_global *g)
{
	struct closing c = { .s = s, .g = g, .stream = stream };

	listen_no_more(s, FANOUT_RTP);
	listen_no_more(s, FANOUT_RTCP);
	bpf_loop(s->span, free_slot, &c, 0);
	if (c.error)
		return c.error;
	bpf_loop(FANOUT_TICKETS, kill_ticket, &c, 0);
	s->head = s->tail;
	s->viewers = s->span = 0;
	bpf_loop(FANOUT_STREAM_PAGES, free_page, &c, 0);
	__sync_lock_test_and_set(&s->state, FANOUT_STREAM_FREE);
	return 0;
}

static long close_each(__u32 i, void *context)
{
	struct closing *c = context;
	struct fanout_stream *s = stream_at(i);
	int error = s && s->state == FANOUT_STREAM_OPEN ? close_stream(s, i, c->g) : 0;

	if (error)
		c->error = error;
	return 0;
}

static __always_inline int flush(struct fanout_global *g)
{
	struct closing c = { .g = g };

	bpf_loop(FANOUT_MAX_STREAMS, close_each, &c, 0);
	return c.error;
}

/* ---- viewers ------------------------------------------------------------------------------------------------ */

struct place {
	struct fanout_stream *s;
	__u32 from;
	__u32 position;
	bool ok;
};

static long find_position(__u32 i, void *context)
{
	struct place *c = context;
	__s32 slot = slot_of(c->s, c->from + i);
	struct fanout_viewer *v = slot < 0 ? NULL : bpf_map_lookup_elem(&viewers, &slot);

	if (!v || v->state != FANOUT_VIEWER_FREE)
		return 0;
	c->position = c->from + i;
	c->ok = true;
	return 1;
}

static long find_page(__u32 i, void *context)
{
	struct place *c = context;
	__u32 page = c->from + i, *owner = bpf_map_lookup_elem(&pages, &page);

	if (!owner || *owner)
		return 0;
	c->position = page;
	c->ok = true;
	return 1;
}

/* Lends a free page to the stream for its position `position`. */
static __always_inline int lend_page(struct fanout_stream *s, __u32 stream, __u32 position, struct fanout_global *g)
{
	struct place c = { .from = g->page_hint };
	__u32 *owner;

	if (c.from < FANOUT_MAX_PAGES)
		bpf_loop(FANOUT_MAX_PAGES - c.from, find_page, &c, 0);
	owner = c.ok ? bpf_map_lookup_elem(&pages, &c.position) : NULL;
	if (!owner)
		return -ENOSPC;
	*owner = stream + 1;
	g->page_hint = c.position + 1;
	s->page[position / FANOUT_PAGE_SLOTS % FANOUT_STREAM_PAGES] = c.position + 1;
	return 0;
}

/* The lowest free position of the stream, a new one at its end where none is. */
static __always_inline int find_place(struct fanout_stream *s, __u32 stream, struct fanout_global *g, __u32 *position)
{
	struct place c = { .s = s, .from = s->free_hint };

	if (c.from < s->span)
		bpf_loop(s->span - c.from, find_position, &c, 0);
	*position = c.ok ? c.position : s->span;
	if (*position >= FANOUT_STREAM_PAGES * FANOUT_PAGE_SLOTS)
		return -ENOSPC;
	return slot_of(s, *position) < 0 ? lend_page(s, stream, *position, g) : 0;
}

static __always_inline void set_hop(struct fanout_viewer *v, const struct fanout_next_hop *hop)
{
	v->ifindex = hop->ifindex;
	v->mtu = hop->mtu;
	for (int i = 0; i < 6; i++) {
		v->source_mac[i] = hop->source_mac[i];
		v->mac[i] = hop->mac[i];
	}
}

/* Every packet that takes its ticket after this has returned reaches the viewer; none that took it before does. */
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
	v->stream = c->stream;
	v->generation = s->generation;
	v->id = a->id;
	__builtin_memcpy(v->source, a->source, sizeof(v->source));
	__builtin_memcpy(v->address, a->address, sizeof(v->address));
	for (int i = 0; i < FANOUT_KINDS; i++) {
		v->source_port[i] = a->source_port[i];
		v->port[i] = a->port[i];
	}
	set_hop(v, &a->hop);
	v->packets = v->bytes = v->rtcp_packets = v->drops = 0;
	v->first = v->refusing = v->loss_fraction = v->loss_cumulative = v->loss_jitter = 0;
	v->added_ns = bpf_ktime_get_ns();
	if (position >= s->span)
		s->span = position + 1;
	s->free_hint = position + 1;
	s->viewers++;
	/* Full barriers on both sides of reading tail: a packet with a later ticket sees the span and the slot. */
	__sync_lock_test_and_set(&v->next, __sync_fetch_and_add(&s->tail, 0));
	__sync_lock_test_and_set(&v->state, FANOUT_VIEWER_ACTIVE);
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
	s->viewers--;
	return 0;
}

static __always_inline int change(struct fanout_command *c)
{
	struct fanout_viewer *v = viewer_of(c);
	int error;

	if (!v)
		return -ENOENT;
	if (c->op == FANOUT_OP_NEXT_HOP && !c->hop.ifindex)
		return -EINVAL;
	error = take_slot(v, FANOUT_VIEWER_BUSY);
	if (error)
		return error;
	if (c->op == FANOUT_OP_NEXT_HOP) {
		set_hop(v, &c->hop);
	} else {
		v->loss_fraction = c->loss.fraction;
		v->loss_cumulative = c->loss.cumulative;
		v->loss_jitter = c->loss.jitter;
	}
	release_slot(v);
	return 0;
}

static __always_inline int pass_up(struct fanout_command *c)
{
	struct fanout_stream *s = stream_at(c->stream);

	if (!s || s->state != FANOUT_STREAM_OPEN)
		return -ENOENT;
	s->pass_up = c->pass_up;
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
		return change(c);
	case FANOUT_OP_PASS_UP:
		return pass_up(c);
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
