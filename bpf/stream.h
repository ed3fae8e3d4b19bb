/* SPDX-License-Identifier: GPL-2.0-only */
/* Commands about streams: a stream begins, ends, or everything does. */
#ifndef FANOUT_STREAM_H
#define FANOUT_STREAM_H

#include "slot.h"

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

/* What comes to other ports need not be looked at (packet.h). */
static __always_inline void note_port(__u16 port)
{
	struct fanout_global *g = the_global();

	if (!g)
		return;
	if (!g->last_port || port < g->first_port)
		g->first_port = port;
	if (port > g->last_port)
		g->last_port = port;
}

static __always_inline int listen_on(const struct fanout_stream *s, __u32 stream, __be16 port, __u32 kind)
{
	struct fanout_listen_key key;
	struct fanout_listen value = { .stream = stream, .kind = kind };

	listen_key(&key, s->local, port);
	note_port(bpf_ntohs(port));
	return bpf_map_update_elem(&listen, &key, &value, BPF_NOEXIST);
}

static __always_inline void listen_no_more(const struct fanout_stream *s, __u32 kind)
{
	struct fanout_listen_key key;

	listen_key(&key, s->local, s->local_port[kind]);
	bpf_map_delete_elem(&listen, &key);
}

static __always_inline void describe(struct fanout_stream *s, const struct fanout_open *o)
{
	__builtin_memcpy(s->source, o->source, sizeof(s->source));
	__builtin_memcpy(s->local, o->local, sizeof(s->local));
	for (int i = 0; i < FANOUT_KINDS; i++) {
		s->source_port[i] = o->source_port[i];
		s->local_port[i] = o->local_port[i];
	}
	s->clock_rate = o->clock_rate;
	s->codec = o->codec;
	s->payload_type = o->payload_type;
	s->descriptor = o->descriptor;
}

static __always_inline int listen_on_both(const struct fanout_stream *s, __u32 stream)
{
	__be16 rtp = s->local_port[FANOUT_RTP], rtcp = s->local_port[FANOUT_RTCP];
	int error = listen_on(s, stream, rtp, rtp == rtcp ? FANOUT_RTP_AND_RTCP : FANOUT_RTP);

	if (error || rtp == rtcp)
		return error;
	error = listen_on(s, stream, rtcp, FANOUT_RTCP);
	if (error)
		listen_no_more(s, FANOUT_RTP);
	return error;
}

static __always_inline void forget_layers(struct fanout_stream *s)
{
	s->thinned = s->notion = s->layer_window_ns = 0;
	for (int i = 0; i < FANOUT_LAYERS; i++)
		s->layer_bytes[i] = s->layer_average[i] = 0;
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
	describe(s, o);
	forget_layers(s);
	s->cache_first = o->cache_first;
	s->cache_size = o->cache_size;
	s->begin_by_ns = s->source_epoch = s->cached = s->joining = s->pass_up = s->viewers = s->span = s->free_hint = s->rotation = 0;
	s->packets = s->bytes = s->rtcp_packets = s->refused = s->passes = s->waits = s->egress_full = s->parked = s->woken_ns = 0;
	__sync_lock_test_and_set(&s->state, FANOUT_STREAM_OPEN);
	error = listen_on_both(s, free.found);
	if (error) {
		__sync_lock_test_and_set(&s->state, FANOUT_STREAM_FREE);
		return error;
	}
	c->stream = free.found;
	return 0;
}

/* The stream's viewers, tickets and counters stay; its packets come from elsewhere now. Listening stops first: no packet of
 * the old source is taken for one of the new. */
static __always_inline int retarget_stream(struct fanout_command *c)
{
	struct fanout_stream *s = stream_at(c->stream);

	if (!s || s->state != FANOUT_STREAM_OPEN)
		return -ENOENT;
	listen_no_more(s, FANOUT_RTP);
	listen_no_more(s, FANOUT_RTCP);
	describe(s, &c->open);
	s->cached = 0;
	s->begin_by_ns = c->open.begin_within_ms ? bpf_ktime_get_ns() + c->open.begin_within_ms * 1000000ull : 0;
	__sync_fetch_and_add(&s->source_epoch, 1);
	return listen_on_both(s, c->stream);
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

static __always_inline bool kill_from(struct fanout_ticket *t, __u32 state)
{
	return __sync_val_compare_and_swap(&t->state, state, FANOUT_TICKET_DEAD) == state;
}

/* Tickets that are not over yet end here; their templates find that when they come round. `tail` goes on counting when the
 * slot is opened again, so such a template never meets a ticket of its own number. */
static long kill_ticket(__u32 i, void *context)
{
	struct closing *c = context;
	struct fanout_ticket *t = ticket_at(c->stream, i);

	if (!t || kill_from(t, FANOUT_TICKET_MOVING) || kill_from(t, FANOUT_TICKET_PARKED))
		return 0;
	if (kill_from(t, FANOUT_TICKET_OUT))
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

#endif
