/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spin - what a workload costs the whole machine, softirqs included, whatever the tick accounting says: one
 * idle-priority spinner per core does nothing but read the clock, and adds up the time in which it did not come to that.
 * The cost, in cores, is what is lost under load less what is lost on the idle machine. How fast a core is at the moment
 * (another machine's work on its sibling, its frequency) changes only how often the clock is read.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"

static const char USAGE[] = "usage: spin --seconds S\n"
			    "Prints {\"cores\":N,\"seconds\":S,\"lost\":L}: of N cores, L were busy with something else.";

/* Between two readings of the clock. One takes some 25 ns, the least interrupt about 1 us. */
#define LOST_NS 300

static atomic_bool stop;

struct spinner {
	pthread_t thread;
	int core;
	int error;
	uint64_t lost_ns;
	uint64_t ns; /* in all */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void *spin(void *argument)
{
	struct spinner *self = argument;
	struct sched_param priority = { 0 };
	uint64_t start, last, t;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(self->core, &set);
	self->error = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
	if (!self->error)
		self->error = pthread_setschedparam(pthread_self(), SCHED_IDLE, &priority);
	start = last = now_ns();
	for (bool go_on = !self->error; go_on; last = t) {
		go_on = !atomic_load_explicit(&stop, memory_order_relaxed);
		t = now_ns();
		if (t - last > LOST_NS)
			self->lost_ns += t - last;
	}
	self->ns = last - start;
	return NULL;
}

static double parse(int argc, char **argv)
{
	static const struct option options[] = { { "seconds", 1, 0, 's' }, { "help", 0, 0, 'h' }, { 0 } };
	double seconds = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's') {
			seconds = real_number("--seconds", optarg, 0.01, 3600);
		} else if (option == 'h') {
			puts(USAGE);
			exit(0);
		} else {
			exit(2);
		}
	}
	if (optind != argc || seconds == 0)
		usage_error("%s", USAGE);
	return seconds;
}

int main(int argc, char **argv)
{
	double seconds = parse(argc, argv), lost = 0;
	struct spinner spinners[CPU_SETSIZE];
	cpu_set_t allowed;
	int cores = 0;

	if (sched_getaffinity(0, sizeof allowed, &allowed)) {
		perror("sched_getaffinity");
		return 1;
	}
	for (int core = 0; core < CPU_SETSIZE; core++) {
		if (!CPU_ISSET(core, &allowed))
			continue;
		spinners[cores] = (struct spinner){ .core = core };
		if (pthread_create(&spinners[cores].thread, NULL, spin, &spinners[cores])) {
			fprintf(stderr, "spin: cannot start a thread for core %d\n", core);
			return 1;
		}
		cores++;
	}
	usleep((useconds_t)(seconds * 1e6));
	atomic_store(&stop, true);
	for (int i = 0; i < cores; i++) {
		pthread_join(spinners[i].thread, NULL);
		if (spinners[i].error) {
			fprintf(stderr, "spin: core %d: %s\n", spinners[i].core, strerror(spinners[i].error));
			return 1;
		}
		if (spinners[i].ns)
			lost += (double)spinners[i].lost_ns / spinners[i].ns;
	}
	printf("{\"cores\":%d,\"seconds\":%.3f,\"lost\":%.5f}\n", cores, seconds, lost);
	return 0;
}
