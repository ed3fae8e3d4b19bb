/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turns - what traffic flows through a device with the program that is attached to it, and without, in turns of the same flow.
 * The program is attached again at the end.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <getopt.h>
#include <inttypes.h>
#include <net/if.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

static const char USAGE[] =
	"usage: turns --device NAME --priority N --handle N --pairs N --seconds S\n"
	"Prints one JSON object: for each turn, with and without the classifier of that priority and handle at the device's ingress, how\n"
	"many bytes and packets came a second. Which of a pair is first changes from pair to pair.";

enum { SETTLE_NS = 30000000 };

struct place {
	struct bpf_tc_hook hook;
	struct bpf_tc_opts options;
};

struct count {
	uint64_t bytes, packets;
	double seconds;
};

struct plan {
	const char *device;
	__u32 priority, handle;
	unsigned pairs;
	double seconds;
};

static struct plan parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", 1, 0, 'd' }, { "priority", 1, 0, 'p' }, { "handle", 1, 0, 'h' },
		{ "pairs", 1, 0, 'n' },	 { "seconds", 1, 0, 's' },  { "help", 0, 0, 'H' }, { 0 },
	};
	struct plan plan = { 0 };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'd': plan.device = optarg; break;
		case 'p': plan.priority = whole_number("--priority", optarg, 1, 0xffff); break;
		case 'h': plan.handle = whole_number("--handle", optarg, 1, 0xffffffff); break;
		case 'n': plan.pairs = whole_number("--pairs", optarg, 1, 100000); break;
		case 's': plan.seconds = real_number("--seconds", optarg, 0.01, 60); break;
		case 'H': puts(USAGE); exit(0);
		default: exit(2);
		}
	}
	if (optind != argc || !plan.device || !plan.priority || !plan.handle || !plan.pairs || plan.seconds <= 0)
		usage_error("%s", USAGE);
	return plan;
}

static void pause_for(double seconds)
{
	struct timespec t = { .tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (time_t)seconds) * 1e9) };

	nanosleep(&t, NULL);
}

/* What the device has received: of this network namespace, wherever sysfs was mounted. */
static struct count received(const char *device)
{
	FILE *file = fopen("/proc/self/net/dev", "r");
	struct count count = { 0 };
	char line[512], name[IF_NAMESIZE];
	struct timespec t;

	if (!file)
		fail("/proc/self/net/dev");
	while (fgets(line, sizeof line, file)) {
		uint64_t bytes, packets;

		if (sscanf(line, " %15[^:]: %" SCNu64 " %" SCNu64, name, &bytes, &packets) == 3 && !strcmp(name, device)) {
			count.bytes = bytes;
			count.packets = packets;
		}
	}
	fclose(file);
	clock_gettime(CLOCK_MONOTONIC, &t);
	count.seconds = t.tv_sec + t.tv_nsec / 1e9;
	return count;
}

static void put(struct place *place, int program, bool attached)
{
	struct bpf_tc_opts options = place->options;
	int error;

	options.prog_fd = attached ? program : 0;
	options.prog_id = options.flags = 0;
	error = attached ? bpf_tc_attach(&place->hook, &options) : bpf_tc_detach(&place->hook, &options);
	if (error) {
		errno = -error;
		fail(attached ? "bpf_tc_attach" : "bpf_tc_detach");
	}
}

static void take_turn(const struct plan *plan, bool attached, bool first)
{
	struct count from, to;

	pause_for(SETTLE_NS / 1e9);
	from = received(plan->device);
	pause_for(plan->seconds);
	to = received(plan->device);
	printf("%s{\"attached\":%s,\"bytes\":%.0f,\"packets\":%.0f}", first ? "" : ",", attached ? "true" : "false",
	       (to.bytes - from.bytes) / (to.seconds - from.seconds), (to.packets - from.packets) / (to.seconds - from.seconds));
}

int main(int argc, char **argv)
{
	struct plan plan = parse(argc, argv);
	struct place place = {
		.hook = { .sz = sizeof place.hook, .ifindex = if_nametoindex(plan.device), .attach_point = BPF_TC_INGRESS },
		.options = { .sz = sizeof place.options, .priority = plan.priority, .handle = plan.handle },
	};
	struct bpf_tc_opts found = place.options;
	bool attached = true;
	int program;

	if (!place.hook.ifindex)
		fail(plan.device);
	errno = -bpf_tc_query(&place.hook, &found);
	if (errno)
		fail("no such classifier");
	program = bpf_prog_get_fd_by_id(found.prog_id);
	if (program < 0)
		fail("bpf_prog_get_fd_by_id");
	fputs("{\"turns\":[", stdout);
	for (unsigned i = 0; i < 2 * plan.pairs; i++) {
		bool wanted = (i / 2 + i) % 2;

		if (wanted != attached)
			put(&place, program, wanted);
		attached = wanted;
		take_turn(&plan, attached, i == 0);
	}
	puts("]}");
	if (!attached)
		put(&place, program, true);
	return 0;
}
