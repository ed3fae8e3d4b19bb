/* SPDX-License-Identifier: GPL-2.0-only */
/* sink - loads sink.bpf.c onto a device's ingress and prints what has arrived. */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"
#include "sink.skel.h"

static const char USAGE[] =
	"usage: sink DEVICE LOW-HIGH\n"
	"Drops UDP that arrives on DEVICE for ports LOW to HIGH. Prints \"ready\", then for each line on standard input one JSON\n"
	"object: how many came, and CLOCK_MONOTONIC in nanoseconds. Detaches when that ends.";

static void print_count(int fd)
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

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = 1, .priority = 1);
	struct sink_bpf *skeleton;
	char *dash, line[64];
	int error;

	if (argc != 3 || !(hook.ifindex = if_nametoindex(argv[1])) || !(dash = strchr(argv[2], '-')))
		usage_error("%s", USAGE);
	*dash = '\0';
	skeleton = sink_bpf__open();
	if (!skeleton)
		return 1;
	skeleton->rodata->low_port = whole_number("LOW", argv[2], 1, 65535);
	skeleton->rodata->high_port = whole_number("HIGH", dash + 1, 1, 65535);
	if (sink_bpf__load(skeleton))
		return 1;
	options.prog_fd = bpf_program__fd(skeleton->progs.sink);
	error = bpf_tc_hook_create(&hook);
	if (!error)
		error = bpf_tc_attach(&hook, &options);
	if (error) {
		fprintf(stderr, "sink: %s: %s\n", argv[1], strerror(-error));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin))
		print_count(bpf_map__fd(skeleton->maps.copies));
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	bpf_tc_hook_destroy(&hook);
	sink_bpf__destroy(skeleton);
	return 0;
}
