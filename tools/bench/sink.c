/* SPDX-License-Identifier: GPL-2.0-only */
/* sink - loads sink.bpf.c onto a device and prints what has been counted. */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"
#include "sink.skel.h"

static const char USAGE[] =
	"usage: sink DEVICE LOW-HIGH [ingress | egress | driver]\n"
	"Throws away UDP for ports LOW to HIGH: that arrives on DEVICE (ingress), is to leave by it, or is in its driver (XDP). Prints \"ready\", then for each line on standard input one JSON\n"
	"object: how many there were, and CLOCK_MONOTONIC in nanoseconds. Detaches when that ends.";

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

struct attached {
	struct bpf_tc_hook hook; /* of TC */
	int xdp_ifindex;         /* not 0: attached there instead */
};

static int attach(struct attached *a, const struct sink_bpf *skeleton, const char *place)
{
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = 1, .priority = 1);
	int error;

	if (!strcmp(place, "driver")) {
		a->xdp_ifindex = a->hook.ifindex;
		return bpf_xdp_attach(a->xdp_ifindex, bpf_program__fd(skeleton->progs.sink_xdp), XDP_FLAGS_DRV_MODE, NULL);
	}
	a->hook.attach_point = strcmp(place, "egress") ? BPF_TC_INGRESS : BPF_TC_EGRESS;
	options.prog_fd = bpf_program__fd(strcmp(place, "egress") ? skeleton->progs.sink : skeleton->progs.steal);
	error = bpf_tc_hook_create(&a->hook);
	return error ? error : bpf_tc_attach(&a->hook, &options);
}

static void detach(struct attached *a)
{
	a->hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	if (a->xdp_ifindex)
		bpf_xdp_detach(a->xdp_ifindex, XDP_FLAGS_DRV_MODE, NULL);
	else
		bpf_tc_hook_destroy(&a->hook);
}

int main(int argc, char **argv)
{
	struct attached a = { .hook = { .sz = sizeof a.hook } };
	const char *place = argc == 4 ? argv[3] : "ingress";
	struct sink_bpf *skeleton;
	char *dash, line[64];
	int error;

	if (argc < 3 || argc > 4 || !(a.hook.ifindex = if_nametoindex(argv[1])) || !(dash = strchr(argv[2], '-')) ||
	    (strcmp(place, "ingress") && strcmp(place, "egress") && strcmp(place, "driver")))
		usage_error("%s", USAGE);
	*dash = '\0';
	skeleton = sink_bpf__open();
	if (!skeleton)
		return 1;
	skeleton->rodata->low_port = whole_number("LOW", argv[2], 1, 65535);
	skeleton->rodata->high_port = whole_number("HIGH", dash + 1, 1, 65535);
	if (sink_bpf__load(skeleton))
		return 1;
	error = attach(&a, skeleton, place);
	if (error) {
		fprintf(stderr, "sink: %s: %s\n", argv[1], strerror(-error));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin))
		print_count(bpf_map__fd(skeleton->maps.copies));
	detach(&a);
	sink_bpf__destroy(skeleton);
	return 0;
}
