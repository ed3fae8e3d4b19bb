/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * counter - loads counter.bpf.c onto a device's ingress and prints what it has counted: one line of JSON for each
 * line on standard input, a last one at its end or on SIGTERM or SIGINT, then detaches.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <err.h>
#include <getopt.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "arguments.h"
#include "counter.h"
#include "counter.skel.h"
#include "tcx.h"

static const char USAGE[] =
	"usage: counter --device NAME --ports LOW-HIGH\n"
	"Counts and drops RTP and RTCP that arrives on NAME for UDP ports LOW to HIGH. Prints \"ready\", then a line of\n"
	"JSON for each line on standard input, and a last one when that ends or on SIGTERM or SIGINT.";

struct plan {
	unsigned ifindex;
	unsigned low, high;
};

static struct plan parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", 1, 0, 'd' }, { "ports", 1, 0, 'p' }, { "help", 0, 0, 'h' }, { 0 },
	};
	struct plan plan = { 0 };
	char *dash;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			plan.ifindex = if_nametoindex(optarg);
			if (!plan.ifindex)
				errx(2, "no device '%s' in this network namespace", optarg);
			break;
		case 'p':
			dash = strchr(optarg, '-');
			if (!dash)
				usage_error("--ports: '%s' is not LOW-HIGH", optarg);
			*dash = '\0';
			plan.low = whole_number("--ports", optarg, 1, 65535);
			plan.high = whole_number("--ports", dash + 1, plan.low, 65535);
			break;
		case 'h':
			puts(USAGE);
			exit(0);
		default:
			exit(2);
		}
	}
	if (optind != argc || !plan.ifindex || !plan.low)
		usage_error("%s", USAGE);
	return plan;
}

static struct counter_totals sum_totals(struct counter_bpf *skeleton)
{
	int cpus = libbpf_num_possible_cpus();
	struct counter_totals all[cpus], sum = { 0 };
	__u32 zero = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(skeleton->maps.totals), &zero, all))
		return sum;
	for (int i = 0; i < cpus; i++) {
		sum.rtp += all[i].rtp;
		sum.rtcp += all[i].rtcp;
		sum.other += all[i].other;
		sum.aggregated += all[i].aggregated;
		sum.overflow += all[i].overflow;
	}
	return sum;
}

static void print_row(const struct counter_key *key, unsigned port, const struct counter_row *row,
		      const char *separator)
{
	bool v4 = !memcmp(key->address, "\0\0\0\0\0\0\0\0\0\0\377\377", 12);
	char address[INET6_ADDRSTRLEN];

	inet_ntop(v4 ? AF_INET : AF_INET6, key->address + (v4 ? 12 : 0), address, sizeof address);
	printf("%s{\"address\":\"%s\",\"port\":%u,\"ssrc\":%u,\"packets\":%llu,\"bytes\":%llu,\"lost\":%lld,"
	       "\"duplicated\":%u,\"reordered\":%u,\"old\":%u,\"first\":%u,\"firstSeq\":%u,\"lastSeq\":%u}",
	       separator, address, port, key->ssrc, row->packets, row->bytes,
	       (long long)(row->highest - row->lowest + 1) - (long long)row->unique, row->duplicated, row->reordered,
	       row->old, row->first, row->lowest & 0xffff, row->highest & 0xffff);
}

/* As it was at one moment: the program has changed nothing between two readings. */
static bool read_block(int fd, const struct counter_key *key, struct counter_block *block)
{
	static struct counter_block before;

	if (bpf_map_lookup_elem(fd, key, block))
		return false;
	do {
		before = *block;
		if (bpf_map_lookup_elem(fd, key, block))
			return false;
	} while (memcmp(&before, block, sizeof before));
	return true;
}

static void print_all(struct counter_bpf *skeleton)
{
	int fd = bpf_map__fd(skeleton->maps.blocks);
	struct counter_totals totals = sum_totals(skeleton);
	static struct counter_block block;
	struct counter_key key, *previous = NULL;
	const char *separator = "";

	printf("{\"rtp\":%llu,\"rtcp\":%llu,\"other\":%llu,\"aggregated\":%llu,\"overflow\":%llu,\"rows\":[", totals.rtp,
	       totals.rtcp, totals.other, totals.aggregated, totals.overflow);
	for (; !bpf_map_get_next_key(fd, previous, &key); previous = &key) {
		if (!read_block(fd, &key, &block))
			continue;
		for (unsigned i = 0; i < COUNTER_BLOCK_PORTS; i++) {
			if (!block.rows[i].started)
				continue;
			print_row(&key, key.block * COUNTER_BLOCK_PORTS + i, &block.rows[i], separator);
			separator = ",";
		}
	}
	puts("]}");
	fflush(stdout);
}

/* Until a signal or the end of standard input; a line each in between. */
static void serve(struct counter_bpf *skeleton, int signals)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
	char input[512];

	puts("ready");
	fflush(stdout);
	for (;;) {
		ssize_t n;

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			return;
		n = read(STDIN_FILENO, input, sizeof input);
		if (n <= 0)
			return;
		for (ssize_t i = 0; i < n; i++)
			if (input[i] == '\n')
				print_all(skeleton);
	}
}

/* NULL: errno says why, and libbpf has told more. */
static struct counter_bpf *load(const struct plan *plan)
{
	struct counter_bpf *skeleton = counter_bpf__open();
	int error;

	if (!skeleton)
		return NULL;
	skeleton->rodata->low_port = plan->low;
	skeleton->rodata->high_port = plan->high;
	error = counter_bpf__load(skeleton);
	if (error) {
		counter_bpf__destroy(skeleton);
		errno = -error;
		return NULL;
	}
	return skeleton;
}

static int attach_and_serve(struct counter_bpf *skeleton, unsigned ifindex, int signals)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, program, .handle = 1, .priority = 1);
	int link, error;
	bool hook_is_ours;

	program.prog_fd = bpf_program__fd(skeleton->progs.counter);
	link = attach_tcx(ifindex, program.prog_fd, TCX_INGRESS);
	if (link >= 0) {
		serve(skeleton, signals);
		close(link);
		print_all(skeleton);
		return 0;
	}
	error = bpf_tc_hook_create(&hook);
	hook_is_ours = !error;
	if (error && error != -EEXIST)
		warnx("clsact: %s", strerror(-error));
	else if ((error = bpf_tc_attach(&hook, &program)))
		warnx("attach: %s", strerror(-error));
	else
		serve(skeleton, signals);
	if (!error) {
		program.flags = program.prog_fd = program.prog_id = 0;
		bpf_tc_detach(&hook, &program);
		print_all(skeleton);
	}
	if (hook_is_ours) {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		bpf_tc_hook_destroy(&hook);
	}
	return error;
}

int main(int argc, char **argv)
{
	struct plan plan = parse(argc, argv);
	struct counter_bpf *skeleton;
	sigset_t mask;
	int signals, error;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signals = signalfd(-1, &mask, SFD_CLOEXEC);

	skeleton = load(&plan);
	if (!skeleton)
		err(1, "cannot load the program");
	error = attach_and_serve(skeleton, plan.ifindex, signals);
	counter_bpf__destroy(skeleton);
	return error ? 1 : 0;
}
