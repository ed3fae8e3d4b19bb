/* SPDX-License-Identifier: GPL-2.0-only */
/* broadcast - loads broadcast.bpf.c onto a device and prints how many copies it has made. */
#define _GNU_SOURCE
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>

#include "arguments.h"
#include "broadcast.skel.h"
#include "counts.h"

#define MAX_COPIES 65536

static const char USAGE[] =
	"usage: broadcast FROM TO COPIES\n"
	"Has the kernel copy each UDP frame that comes in on device FROM so many times for device TO (XDP), and throws the copies away as\n"
	"they would leave. Prints \"ready\", then for each line on standard input one JSON object: how many there were, and CLOCK_MONOTONIC in\n"
	"nanoseconds. Detaches when that ends.";

static int fill(const struct broadcast_bpf *skeleton, int to, __u32 copies)
{
	struct bpf_devmap_val value = { .ifindex = to, .bpf_prog.fd = bpf_program__fd(skeleton->progs.leave) };
	int error = 0;

	for (__u32 i = 0; i < copies && !error; i++)
		error = bpf_map_update_elem(bpf_map__fd(skeleton->maps.entries), &i, &value, 0);
	return error;
}

int main(int argc, char **argv)
{
	struct broadcast_bpf *skeleton;
	int from, to, error;
	__u32 copies;

	if (argc != 4 || !(from = if_nametoindex(argv[1])) || !(to = if_nametoindex(argv[2])))
		usage_error("%s", USAGE);
	copies = whole_number("COPIES", argv[3], 1, MAX_COPIES);
	skeleton = broadcast_bpf__open();
	if (!skeleton || bpf_map__set_max_entries(skeleton->maps.entries, copies) || broadcast_bpf__load(skeleton))
		return 1;
	error = fill(skeleton, to, copies);
	if (!error)
		error = bpf_xdp_attach(from, bpf_program__fd(skeleton->progs.arrive), XDP_FLAGS_DRV_MODE, NULL);
	if (error) {
		fprintf(stderr, "broadcast: %s: %s\n", argv[1], strerror(-error));
		return 1;
	}
	answer_with_counts(bpf_map__fd(skeleton->maps.copies));
	bpf_xdp_detach(from, XDP_FLAGS_DRV_MODE, NULL);
	broadcast_bpf__destroy(skeleton);
	return 0;
}
