/* SPDX-License-Identifier: GPL-2.0-only */
/* A program that counts: each line on its standard input asks how far it is. */
#ifndef BENCH_COUNTS_H
#define BENCH_COUNTS_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <time.h>

/* `fd`: a per-CPU array of one counter. */
static inline void print_count(int fd)
{
	int cpus = libbpf_num_possible_cpus();
	unsigned long long sum = 0;
	__u64 counts[cpus];
	__u32 zero = 0;
	struct timespec t;

	if (!bpf_map_lookup_elem(fd, &zero, counts))
		for (int i = 0; i < cpus; i++)
			sum += counts[i];
	clock_gettime(CLOCK_MONOTONIC, &t);
	printf("{\"copies\":%llu,\"ns\":%lld}\n", sum, t.tv_sec * 1000000000LL + t.tv_nsec);
	fflush(stdout);
}

/* Until standard input ends. */
static inline void answer_with_counts(int fd)
{
	char line[64];

	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin))
		print_count(fd);
}

#endif
