/* SPDX-License-Identifier: GPL-2.0-only */
/* How many copies a program has seen; print_count() in counts.h reads it. */
#ifndef BENCH_COPIES_H
#define BENCH_COPIES_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} copies SEC(".maps");

static __always_inline void count(__u32 datagrams)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&copies, &zero);

	if (count)
		*count += datagrams;
}

#endif
