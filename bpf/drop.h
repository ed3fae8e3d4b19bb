/* SPDX-License-Identifier: GPL-2.0-only */
/* Counting: every packet, or copy, that is not sent has a reason and a counter; so has every packet that is. */
#ifndef FANOUT_DROP_H
#define FANOUT_DROP_H

#include "maps.h"

/* Streams and global are shared by CPUs, and counted per packet: atomic. Viewers are counted per copy, under their lock. */
#define COUNT(field, n) __sync_fetch_and_add(&(field), (n))

static __always_inline void count_drop(enum fanout_drop reason)
{
	struct fanout_global *g = the_global();

	if (g)
		COUNT(g->drops[reason % FANOUT_DROP_MAX], 1);
}

/* A packet that is ours and goes no further. */
static __always_inline int drop(enum fanout_drop reason)
{
	count_drop(reason);
	return TC_ACT_SHOT;
}

#endif
