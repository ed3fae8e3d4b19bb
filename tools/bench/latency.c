/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * latency - how long each packet is under way from the source's device to the first and to the last of its receivers:
 * loads latency.bpf.c onto both devices, each in its own network namespace.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <getopt.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "latency.h"
#include "latency.skel.h"

static const char USAGE[] =
	"usage: latency --source NETNS:DEVICE:PORT --viewers NETNS:DEVICE:LOW-HIGH --copies N\n"
	"Notes when RTP packets to PORT leave the first device and when their copies reach the second (which drops them). Prints\n"
	"\"ready\" and, when standard input ends, one JSON object: packets of which all N copies came, and of those the\n"
	"nanoseconds to the first and to the last copy.";

struct place {
	char netns[128];
	char device[IF_NAMESIZE];
	unsigned ifindex, low, high;
};

static struct place place(const char *option, const char *text)
{
	struct place p = { 0 };
	char low[8] = "", high[8] = "";

	if (sscanf(text, "%127[^:]:%15[^:]:%7[0-9]-%7[0-9]", p.netns, p.device, low, high) < 3)
		usage_error("%s: '%s' is not NETNS:DEVICE:PORT", option, text);
	p.low = whole_number(option, low, 1, 65535);
	p.high = *high ? whole_number(option, high, p.low, 65535) : p.low;
	return p;
}

/* From now on this process is in that namespace. */
static void enter(const char *netns)
{
	char path[256];
	int fd;

	snprintf(path, sizeof path, "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET)) {
		perror(path);
		exit(1);
	}
	close(fd);
}

/* Detached with the devices' clsact, which is ours. */
static struct bpf_tc_hook attach(struct place *p, enum bpf_tc_attach_point point, const struct bpf_program *program)
{
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = 1, .priority = 1, .prog_fd = bpf_program__fd(program));
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = point);
	int error;

	enter(p->netns);
	hook.ifindex = if_nametoindex(p->device);
	if (!hook.ifindex)
		usage_error("no device '%s' in %s", p->device, p->netns);
	error = bpf_tc_hook_create(&hook);
	if (!error)
		error = bpf_tc_attach(&hook, &options);
	if (error) {
		fprintf(stderr, "latency: %s: %s\n", p->device, strerror(-error));
		exit(1);
	}
	return hook;
}

static void detach(const struct place *p, struct bpf_tc_hook *hook)
{
	enter(p->netns);
	hook->attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	bpf_tc_hook_destroy(hook);
}

static void print_times(int fd, unsigned long long copies)
{
	unsigned sent = 0, complete = 0;

	fputs("{\"ns\":[", stdout);
	for (__u32 i = 0; i < LATENCY_PACKETS; i++) {
		struct latency_packet p;

		if (bpf_map_lookup_elem(fd, &i, &p) || !p.sent_ns)
			continue;
		sent++;
		if (p.copies != copies)
			continue;
		printf("%s[%llu,%llu]", complete++ ? "," : "", p.first_ns - p.sent_ns, p.last_ns - p.sent_ns);
	}
	printf("],\"sent\":%u,\"complete\":%u}\n", sent, complete);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "source", 1, 0, 's' }, { "viewers", 1, 0, 'v' }, { "copies", 1, 0, 'c' }, { "help", 0, 0, 'h' }, { 0 },
	};
	struct place source = { 0 }, viewers = { 0 };
	struct bpf_tc_hook at_source, at_viewers;
	struct latency_bpf *skeleton;
	unsigned long long copies = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's': source = place("--source", optarg); break;
		case 'v': viewers = place("--viewers", optarg); break;
		case 'c': copies = whole_number("--copies", optarg, 1, 65536); break;
		case 'h': puts(USAGE); return 0;
		default: return 2;
		}
	}
	if (optind != argc || !source.low || !viewers.low || !copies)
		usage_error("%s", USAGE);
	skeleton = latency_bpf__open();
	if (!skeleton)
		return 1;
	skeleton->rodata->source_port = source.low;
	skeleton->rodata->low_port = viewers.low;
	skeleton->rodata->high_port = viewers.high;
	if (latency_bpf__load(skeleton))
		return 1;
	at_source = attach(&source, BPF_TC_EGRESS, skeleton->progs.sent);
	at_viewers = attach(&viewers, BPF_TC_INGRESS, skeleton->progs.arrived);
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	detach(&source, &at_source);
	detach(&viewers, &at_viewers);
	print_times(bpf_map__fd(skeleton->maps.packets), copies);
	latency_bpf__destroy(skeleton);
	return 0;
}
