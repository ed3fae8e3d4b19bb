/* SPDX-License-Identifier: GPL-2.0-only */
/* The bandwidth of each layer: every FANOUT_LAYER_WINDOW_MS
 *
 *   average = (average * 15 + bytes / time) / 16
 *
 * in bytes/s, rounded down. A window ends with the first packet after it; windows in which nothing came count as well. The
 * reader does the same for those that have ended since (src/control/rtp/layer-rates.ts). */
#ifndef FANOUT_LAYER_RATE_H
#define FANOUT_LAYER_RATE_H

#include "drop.h"

#define LAYER_WINDOW_NS (FANOUT_LAYER_WINDOW_MS * 1000000ull)
#define LAYER_WINDOWS_PER_SECOND (1000 / FANOUT_LAYER_WINDOW_MS)

struct rolling {
	struct fanout_stream *s;
	__u64 windows;
};

/* A window without a packet, for all layers. */
static long roll_empty(__u32 i, void *context)
{
	struct rolling *c = context;

	for (int layer = 0; layer < FANOUT_LAYERS; layer++)
		c->s->layer_average[layer] = c->s->layer_average[layer] * 15 / 16;
	return 0;
}

/* Whoever moves the window's beginning ends it; a packet that comes on another CPU at that moment counts before or after. */
static __noinline int roll(struct fanout_stream *s, __u64 now)
{
	struct rolling c = { .s = s };
	__u64 began, bytes;

	if (!s)
		return 0; /* for the verifier */
	began = *(volatile __u64 *)&s->layer_window_ns;
	c.windows = (now - began) / LAYER_WINDOW_NS;
	if (began && !c.windows)
		return 0; /* another CPU has ended it */
	if (__sync_val_compare_and_swap(&s->layer_window_ns, began, began ? began + c.windows * LAYER_WINDOW_NS : now) !=
		    began || !began)
		return 0;
	for (int layer = 0; layer < FANOUT_LAYERS; layer++) {
		bytes = __sync_lock_test_and_set(&s->layer_bytes[layer], 0) * LAYER_WINDOWS_PER_SECOND;
		s->layer_average[layer] = c.windows > FANOUT_LAYER_WINDOWS ? 0 : (s->layer_average[layer] * 15 + bytes) / 16;
	}
	bpf_loop(c.windows > FANOUT_LAYER_WINDOWS ? 0 : c.windows - 1, roll_empty, &c, 0);
	return 0;
}

/* A packet of that layer, `bytes` of UDP payload. */
static __always_inline void count_layer(struct fanout_stream *s, __u32 layer, __u32 bytes, __u64 now)
{
	__s64 since = now - *(volatile __u64 *)&s->layer_window_ns;

	if (since >= (__s64)LAYER_WINDOW_NS) /* or there was none yet: its beginning is 0 */
		roll(s, now);
	COUNT(s->layer_bytes[layer % FANOUT_LAYERS], bytes);
}

#endif
