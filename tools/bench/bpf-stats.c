/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf-stats - how often programs ran and for how long, as the kernel counts it while this program holds the descriptor
 * that makes it count (BPF_ENABLE_STATS: no sysctl is changed, and it ends with us).
 */
#include <bpf/bpf.h>
#include <string.h>
#include <unistd.h>

#include "endpoint.h"

enum { MAX_PROGRAMS = 16 };

int main(int argc, char **argv)
{
	int fds[MAX_PROGRAMS], count = argc - 1;
	char line[64];

	if (count < 1 || count > MAX_PROGRAMS || !strcmp(argv[1], "--help"))
		usage_error("usage: bpf-stats PROGRAM-ID...\n"
			    "Prints \"ready\", then a line of JSON for each line on standard input, until that ends.");
	for (int i = 0; i < count; i++) {
		fds[i] = bpf_prog_get_fd_by_id(whole_number("PROGRAM-ID", argv[i + 1], 1, 0xffffffff));
		if (fds[i] < 0)
			fail(argv[i + 1]);
	}
	if (bpf_enable_stats(BPF_STATS_RUN_TIME) < 0)
		fail("BPF_ENABLE_STATS");
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		for (int i = 0; i < count; i++) {
			struct bpf_prog_info info = { 0 };
			__u32 length = sizeof info;

			if (bpf_obj_get_info_by_fd(fds[i], &info, &length))
				fail("bpf_obj_get_info_by_fd");
			printf("%s{\"name\":\"%s\",\"runs\":%llu,\"ns\":%llu}", i ? "," : "[", info.name,
			       (unsigned long long)info.run_cnt, (unsigned long long)info.run_time_ns);
		}
		puts("]");
		fflush(stdout);
	}
	return 0;
}
