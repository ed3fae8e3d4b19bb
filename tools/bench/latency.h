/* SPDX-License-Identifier: GPL-2.0-only */
/* What latency.bpf.c notes of each RTP packet, indexed by its sequence number. CLOCK_MONOTONIC, nanoseconds. */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <linux/types.h>

#define LATENCY_PACKETS 65536

struct latency_packet {
	__u64 sent_ns;  /* it left the source's device */
	__u64 first_ns; /* its first copy arrived */
	__u64 last_ns;  /* its last copy so far arrived */
	__u64 copies;
};

#endif
