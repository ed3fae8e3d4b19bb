/* SPDX-License-Identifier: GPL-2.0-only */
/* Which CPU makes a viewer's copies: always the same one. The queues behind us are per CPU (the transmit queues of a device,
 * the backlog into which a veth hands its packets), so two packets of a viewer that leave from two CPUs may change places.
 *
 * A stream's positions are divided into lanes of FANOUT_LANE_SLOTS. Even ones are served on the CPU that its packets arrive on,
 * odd ones on a partner; a template moves from lane to lane and the next packet follows it, each on a CPU of its own.
 *
 * Its way to the other CPU (XDP's take TC's queue for it, template.h) leads through that CPU's backlog, where copies to veths
 * without NAPI wait as well. When that is full the template is lost. It is enough that this happens once: from then on all is
 * served where it arrives (ticket.h, reap). */
#ifndef FANOUT_LANE_H
#define FANOUT_LANE_H

#include "maps.h"

/* A copy tells the device's queue by the CPU, as if it had been received there: where neither XPS nor the driver chooses, the
 * CPUs do not wait for one another's. The kernel takes the remainder by subtraction. */
#define TX_QUEUES 64

static __always_inline __u32 queue_of(__u32 cpu)
{
	return cpu % TX_QUEUES + 1;
}

/* A template can be sent to another CPU. */
static __always_inline bool is_steered(const struct fanout_global *g)
{
	return g->cpus > 1;
}

static __always_inline bool has_lanes(const struct fanout_global *g)
{
	return is_steered(g) && (!g->xdp_ifindex || g->xdp_lanes);
}

/* How many packets of a stream may have a template. One more than there are CPUs at work, so that none waits for what is on its
 * way; XDP's own that have to wait would go round as fast as they can. */
static __always_inline __u32 carried_at_once(const struct fanout_stream *s, const struct fanout_global *g)
{
	bool lanes = has_lanes(g) && s->span > FANOUT_LANE_SLOTS;

	return g->xdp_ifindex && !lanes ? FANOUT_CARRIED_XDP : FANOUT_CARRIED;
}

static __always_inline __u32 lane_cpu(const struct fanout_stream *s, const struct fanout_global *g, __u32 stream,
				      __u32 position)
{
	__u32 cpus = g->cpus;

	if (!has_lanes(g) || !(position / FANOUT_LANE_SLOTS & 1))
		return s->home;
	return (s->home + 1 + stream % (cpus - 1)) % cpus;
}

/* The position that is `offset` behind a packet's first one. */
static __always_inline __u32 position_at(__u32 start, __u32 span, __u32 offset)
{
	__u32 position = start + offset;

	return position < span ? position : position - span;
}

/* How many positions may be served now: the rest of the lane, for the next one is served on another CPU. */
static __always_inline __u32 rest_of_lane(const struct fanout_global *g, __u32 start, __u32 span, __u32 offset)
{
	__u32 all = offset < span ? span - offset : 0, position = position_at(start, span, offset), lane;

	if (!has_lanes(g) || span <= FANOUT_LANE_SLOTS)
		return all;
	lane = FANOUT_LANE_SLOTS - position % FANOUT_LANE_SLOTS;
	if (lane > span - position)
		lane = span - position; /* what follows is position 0 */
	return lane < all ? lane : all;
}

/* Who is served first, as long as it is not decided. */
static __always_inline __u32 first_position(const struct fanout_stream *s, const struct fanout_ticket *t)
{
	return s->rotation < t->span ? s->rotation : 0;
}

/* Decides it; where the template was sent before may be wrong by now. */
static __always_inline void choose_first(const struct fanout_stream *s, struct fanout_ticket *t)
{
	t->start = first_position(s, t);
	t->moved = 0;
}

/* The CPU that the packet's next viewer is served on. Sent there once and come round on another, it is served all the same. */
static __always_inline __u32 next_cpu(const struct fanout_stream *s, const struct fanout_ticket *t,
				      const struct fanout_global *g, __u32 stream)
{
	if (t->moved == t->offset + 1)
		return bpf_get_smp_processor_id();
	return lane_cpu(s, g, stream,
			t->start == FANOUT_NO_START ? first_position(s, t) : position_at(t->start, t->span, t->offset));
}

static __always_inline bool is_elsewhere(const struct fanout_stream *s, const struct fanout_ticket *t,
					 const struct fanout_global *g, __u32 stream)
{
	return is_steered(g) && next_cpu(s, t, g, stream) != bpf_get_smp_processor_id();
}

/* A template's hash decides where it is received (receive-steering.ts): on that CPU of 0 .. cpus-1 into whose part of all
 * hashes it falls. */
static __always_inline __u32 steering_hash(const struct fanout_global *g, __u32 cpu)
{
	__u32 cpus = g->cpus;

	return cpus > 1 ? (((__u64)cpu * 2 + 1) << 31) / cpus : 0; /* 0 is not steered */
}

#endif
