/* SPDX-License-Identifier: GPL-2.0-only */
/* The picture cache: what came since the last beginning of a picture, for viewers that join later. One copy per packet,
 * whatever the number of viewers; user space reads it only when somebody joins. */
#ifndef FANOUT_CACHE_H
#define FANOUT_CACHE_H

#include "packet.h"

/* A function of its own, for its registers: kernel 6.1's verifier forgets what was compared once it goes to the stack. */
static __noinline long keep_bytes(struct __sk_buff *skb, struct fanout_cached *c, __u32 at, __u32 length)
{
	if (length > FANOUT_CACHED_BYTES || length < RTP_HEADER)
		return -1;
	return bpf_skb_load_bytes(skb, at, c->packet, length);
}

/* The ticket's entry, being written; NULL: the stream keeps nothing. */
static __always_inline struct fanout_cached *entry_of(const struct fanout_stream *s, __u32 number)
{
	__u32 index = s->cache_first + number % (s->cache_size ?: 1);
	struct fanout_cached *c = s->cache_size ? bpf_map_lookup_elem(&cache, &index) : NULL;

	if (!c)
		return NULL;
	*(volatile __u32 *)&c->length = 0;
	*(volatile __u32 *)&c->number = number;
	return c;
}

/* A ticket that is for no viewer who joins from the cache. */
static __always_inline void keep_nothing(const struct fanout_stream *s, __u32 number)
{
	struct fanout_cached *c = entry_of(s, number);

	if (c)
		__sync_lock_test_and_set(&c->length, FANOUT_CACHED_NOTHING);
}

/* `c` goes on with the picture that the window begins with: parameter sets and the slices after them have one timestamp. A
 * function of its own, for the verifier. */
static __noinline bool is_of_picture(const struct fanout_stream *s, const struct fanout_cached *c)
{
	struct fanout_cached *begin;
	__u32 index;

	if (!s || !c || !s->cached)
		return false;
	index = s->cache_first + s->cache_begin % (s->cache_size ?: 1);
	begin = bpf_map_lookup_elem(&cache, &index);
	return begin && begin->number == s->cache_begin && !__builtin_memcmp(begin->packet + 4, c->packet + 4, 4);
}

/* Keeps a packet that has just got its ticket. A GSO packet, or one larger than an entry, cannot be kept: then there is no
 * beginning to join at until the next. */
static __always_inline void keep(struct __sk_buff *skb, struct fanout_stream *s, const struct packet *p, __u32 number)
{
	struct fanout_cached *c = entry_of(s, number);
	__u32 length = p->payload;

	if (!c)
		return;
	if (p->kind == FANOUT_RTCP) {
		__sync_lock_test_and_set(&c->length, FANOUT_CACHED_NOTHING);
		return;
	}
	if (p->segments > 1 || keep_bytes(skb, c, p->payload_at, length)) {
		__sync_lock_test_and_set(&c->length, FANOUT_CACHED_NOT_KEPT);
		s->cached = 0;
		return;
	}
	__sync_lock_test_and_set(&c->length, length);
	if (p->begins && !is_of_picture(s, c)) {
		s->cache_begin = number;
		__sync_lock_test_and_set(&s->cached, 1);
	} else if (s->cached && number - s->cache_begin >= s->cache_size) {
		s->cached = 0; /* more came since the beginning than the window holds */
	}
}

/* A packet that nobody gets leaves a gap. */
static __always_inline void forget(struct fanout_stream *s)
{
	if (s->cached)
		s->cached = 0;
}

#endif
