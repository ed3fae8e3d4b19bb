/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spin - what a workload costs the whole machine, softirqs included, whatever the tick accounting says: one
 * idle-priority spinner per core counts what it gets done. The cost is what is missing against a reading of the idle
 * machine: cost in cores = cores * (1 - loaded / idle).
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
			    "Prints {\"cores\":N,\"seconds\":S,\"iterationsPerSecond\":R}, R per core on average.";

static atomic_bool stop;

struct spinner {
	pthread_t thread;
	int core;
	int error;
	uint64_t iterations;
};

static void *spin(void *argument)
{
	struct spinner *self = argument;
	struct sched_param priority = { 0 };
	volatile uint32_t x = 1;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(self->core, &set);
	self->error = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
	if (!self->error)
		self->error = pthread_setschedparam(pthread_self(), SCHED_IDLE, &priority);
	while (!self->error && !atomic_load_explicit(&stop, memory_order_relaxed)) {
		for (int i = 0; i < 1000; i++)
			x = x * 1664525u + 1013904223u;
		self->iterations++;
	}
	return NULL;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
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
	double seconds = parse(argc, argv), start;
	struct spinner spinners[CPU_SETSIZE];
	uint64_t iterations = 0;
	cpu_set_t allowed;
	int cores = 0;

	if (sched_getaffinity(0, sizeof allowed, &allowed)) {
		perror("sched_getaffinity");
		return 1;
	}
	start = now();
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
	seconds = now() - start;
	for (int i = 0; i < cores; i++) {
		pthread_join(spinners[i].thread, NULL);
		if (spinners[i].error) {
			fprintf(stderr, "spin: core %d: %s\n", spinners[i].core, strerror(spinners[i].error));
			return 1;
		}
		iterations += spinners[i].iterations;
	}
	printf("{\"cores\":%d,\"seconds\":%.3f,\"iterationsPerSecond\":%.1f}\n", cores, seconds,
	       iterations / seconds / cores);
	return 0;
}
