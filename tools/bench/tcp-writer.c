/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp-writer - the least that interleaved viewers can cost: chunks of given sizes, each written to N TCP connections one
 * after the other. No RTSP, no queue, no picture: what a proxy is compared with.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

enum { MAX_VIEWERS = 16384, MAX_CHUNKS = 4096, MAX_BYTES = 1 << 20 };

static const char USAGE[] =
	"usage: tcp-writer --listen ADDRESS:PORT --viewers N --per-second CHUNKS < SIZES\n"
	"SIZES: a line of bytes per chunk, up to an empty line; after the last comes the first again. Prints \"ready\" when it listens, \"all\" when N\n"
	"have connected and the chunks begin, and what it wrote as one JSON object on SIGTERM or SIGINT.";

static volatile sig_atomic_t stop;
static int viewers[MAX_VIEWERS];
static size_t sizes[MAX_CHUNKS];
static char chunk[MAX_BYTES];

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static unsigned read_sizes(void)
{
	char line[32];
	unsigned count = 0;

	while (count < MAX_CHUNKS && fgets(line, sizeof line, stdin) && *line != '\n') {
		line[strcspn(line, "\n")] = '\0';
		sizes[count++] = whole_number("size", line, 1, MAX_BYTES);
	}
	if (!count)
		usage_error("no sizes on standard input");
	return count;
}

static void let_in(const struct sockaddr_in *at, unsigned count)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (const void *)at, sizeof *at) || listen(fd, 1024))
		fail("listen");
	puts("ready");
	fflush(stdout);
	for (unsigned i = 0; i < count; i++) {
		viewers[i] = accept(fd, NULL, NULL);
		if (viewers[i] < 0)
			fail("accept");
		setsockopt(viewers[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	}
	puts("all");
	fflush(stdout);
}

static void write_all(int fd, size_t length)
{
	for (size_t done = 0; done < length && !stop;) {
		ssize_t n = write(fd, chunk + done, length - done);

		if (n < 0)
			fail("write");
		done += n;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "viewers", required_argument, NULL, 'v' },
		{ "per-second", required_argument, NULL, 'p' },
		{ 0 },
	};
	struct sigaction action = { .sa_handler = on_signal };
	struct sockaddr_in at = { 0 };
	unsigned count = 0, rate = 0, chunks;
	uint64_t written = 0, next;
	struct timespec t;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == 'l')
			at = endpoint("--listen", optarg);
		else if (option == 'v')
			count = whole_number("--viewers", optarg, 1, MAX_VIEWERS);
		else if (option == 'p')
			rate = whole_number("--per-second", optarg, 1, 1000);
		else
			usage_error("%s", USAGE);
	}
	if (!at.sin_port || !count || !rate || optind < argc)
		usage_error("%s", USAGE);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	chunks = read_sizes();
	let_in(&at, count);
	clock_gettime(CLOCK_MONOTONIC, &t);
	next = t.tv_sec * 1000000000ull + t.tv_nsec;
	for (unsigned i = 0; !stop; i = (i + 1) % chunks) {
		for (unsigned v = 0; v < count; v++)
			write_all(viewers[v], sizes[i]);
		written += (uint64_t)sizes[i] * count;
		next += 1000000000ull / rate;
		t = (struct timespec){ .tv_sec = next / 1000000000, .tv_nsec = next % 1000000000 };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
	}
	printf("{\"bytes\": %llu}\n", (unsigned long long)written);
	return 0;
}
