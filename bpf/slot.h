/* SPDX-License-Identifier: GPL-2.0-only */
/* Viewer slots, for the command program: locking one, and finding a place for a new one. */
#ifndef FANOUT_SLOT_H
#define FANOUT_SLOT_H

#include "maps.h"

/* A copy takes about a microsecond, so a slot is never locked for long: a million tries are far beyond that. */
#define LOCK_TRIES (1 << 20)

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

static long is_occupied(__u32 i, void *context)
{
	struct place *c = context;
	__s32 slot = slot_of(c->s, c->from - 1 - i);
	struct fanout_viewer *v = slot < 0 ? NULL : bpf_map_lookup_elem(&viewers, &slot);

	if (!v || v->state == FANOUT_VIEWER_FREE)
		return 0;
	c->position = c->from - i;
	return 1;
}

/* Places behind the last viewer are not gone through any more. Tickets that are out keep the span that they have. */
static __always_inline void trim_span(struct fanout_stream *s)
{
	struct place c = { .s = s, .from = s->span };

	bpf_loop(c.from, is_occupied, &c, 0);
	s->span = c.position;
	if (s->free_hint > s->span)
		s->free_hint = s->span;
}

#endif
