/* SPDX-License-Identifier: GPL-2.0-only */
/* Which CPU makes a viewer's copies: always the same one. The queues behind us are per CPU (the transmit queues of a device,
 * the backlog into which a veth hands its packets), so two packets of a viewer that leave from two CPUs may change places.
 *
 * A stream's positions are divided into lanes of FANOUT_LANE_SLOTS. Even ones are served on the CPU that its packets arrive on,
 * odd ones on a partner; a template moves from lane to lane and the next packet follows it, each on a CPU of its own.
 *
 * Its way to the other CPU leads through that CPU's backlog, where copies to veths without NAPI wait as well. When that is full
 * the template is lost. It is enough that this happens once: from then on all is served where it arrives (ticket.h, reap). */
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

static __always_inline bool has_lanes(const struct fanout_global *g)
{
	return g->cpus > 1 && !g->xdp_ifindex;
}

static __always_inline __u32 lane_cpu(const struct fanout_stream *s, const struct fanout_global *g, __u32 stream,
				      __u32 position)
{
	__u32 cpus = g->cpus;

	if (!has_lanes(g) || !(position / FANOUT_LANE_SLOTS & 1))
		return s->home;
	return (s->home + 1 + stream % (cpus - 1)) % cpus;
}

/* Positions from this one to the end of its lane. */
static __always_inline __u32 rest_of_lane(__u32 position)
{
	return FANOUT_LANE_SLOTS - position % FANOUT_LANE_SLOTS;
}

/* A template's hash decides where it is received (receive-steering.ts): on that CPU of 0 .. cpus-1 into whose part of all
 * hashes it falls. */
static __always_inline __u32 steering_hash(const struct fanout_global *g, __u32 cpu)
{
	__u32 cpus = g->cpus;

	return cpus > 1 ? (((__u64)cpu * 2 + 1) << 31) / cpus : 0; /* 0 is not steered */
}

/* Packets of the stream arrive here. While some are out, what follows goes where they went. */
static __always_inline void note_home(struct fanout_stream *s)
{
	__u32 cpu = bpf_get_smp_processor_id();

	if (s->home != cpu && *(volatile __u32 *)&s->head == *(volatile __u32 *)&s->tail)
		s->home = cpu;
}

#endif
