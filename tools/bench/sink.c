/* SPDX-License-Identifier: GPL-2.0-only */
/* sink - loads sink.bpf.c onto a device and prints what has been counted. */
#define _GNU_SOURCE
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>

#include "arguments.h"
#include "counts.h"
#include "sink.skel.h"
#include "tcx.h"

static const char USAGE[] =
	"usage: sink DEVICE LOW-HIGH [ingress | egress | driver]\n"
	"Throws away UDP for ports LOW to HIGH: that arrives on DEVICE (ingress), is to leave by it, or is in its driver (XDP). Prints \"ready\", then for each line on standard input one JSON\n"
	"object: how many there were, and CLOCK_MONOTONIC in nanoseconds. Detaches when that ends.";

struct attached {
	int ifindex;
	int xdp;                 /* not 0: to the driver */
	int tcx;                 /* a link, or negative */
	struct bpf_tc_hook hook; /* where the kernel has no tcx */
};

static int attach(struct attached *a, const struct sink_bpf *skeleton, const char *place)
{
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = 1, .priority = 1);
	int egress = !strcmp(place, "egress"), error;

	if (!strcmp(place, "driver")) {
		a->xdp = 1;
		return bpf_xdp_attach(a->ifindex, bpf_program__fd(skeleton->progs.sink_xdp), XDP_FLAGS_DRV_MODE, NULL);
	}
	options.prog_fd = bpf_program__fd(egress ? skeleton->progs.steal : skeleton->progs.sink);
	a->tcx = attach_tcx(a->ifindex, options.prog_fd, egress ? TCX_EGRESS : TCX_INGRESS);
	if (a->tcx >= 0)
		return 0;
	a->hook = (struct bpf_tc_hook){ .sz = sizeof a->hook, .ifindex = a->ifindex };
	a->hook.attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
	error = bpf_tc_hook_create(&a->hook);
	return error ? error : bpf_tc_attach(&a->hook, &options);
}

static void detach(struct attached *a)
{
	a->hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	if (a->xdp)
		bpf_xdp_detach(a->ifindex, XDP_FLAGS_DRV_MODE, NULL);
	else if (a->tcx >= 0)
		close(a->tcx);
	else
		bpf_tc_hook_destroy(&a->hook);
}

int main(int argc, char **argv)
{
	struct attached a = { .tcx = -1 };
	const char *place = argc == 4 ? argv[3] : "ingress";
	struct sink_bpf *skeleton;
	char *dash;
	int error;

	if (argc < 3 || argc > 4 || !(a.ifindex = if_nametoindex(argv[1])) || !(dash = strchr(argv[2], '-')) ||
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
	answer_with_counts(bpf_map__fd(skeleton->maps.copies));
	detach(&a);
	sink_bpf__destroy(skeleton);
	return 0;
}
