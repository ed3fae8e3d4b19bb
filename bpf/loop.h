/* SPDX-License-Identifier: GPL-2.0-only */
/* What bpf_loop's callbacks may know. */
#ifndef FANOUT_LOOP_H
#define FANOUT_LOOP_H

#include <linux/types.h>

/*
 * Kernels before 6.7 verify a callback for one turn, with what its context holds before the first. A field on the stack that is a constant
 * then and another value in later turns is taken for that constant in all: branches on it are removed as dead code. So such a
 * field begins as this, which is zero and which no verifier can tell; or it is in a map. `unknown`: what no verifier can tell either.
 */
static __always_inline __u32 unknown_zero(__u64 unknown)
{
	__u64 zero = unknown;

	asm volatile("%0 ^= %1" : "+r"(zero) : "r"(unknown));
	return zero;
}

#endif
