/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blast - traffic that is not ours, as fast as it goes: TCP or UDP from one end of a link to the other, to see what a
 * bystander pays for our program on its device.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

enum {
	UDP_BYTES = 64,
	UDP_BATCH = 64,
	TCP_BYTES = 128 << 10,
};

static const char USAGE[] =
	"usage: blast --protocol tcp|udp (--listen ADDRESS:PORT | --to ADDRESS:PORT --seconds S)\n"
	"The listening side prints \"ready\" and discards what comes until its standard input ends. The sending side prints one\n"
	"JSON object: packets (UDP, 64 bytes each) or bytes (TCP), and seconds.";

struct plan {
	struct sockaddr_in listen, to;
	double seconds;
	bool tcp;
};

static struct plan parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "protocol", 1, 0, 'p' }, { "listen", 1, 0, 'l' }, { "to", 1, 0, 't' },
		{ "seconds", 1, 0, 's' }, { "help", 0, 0, 'h' }, { 0 },
	};
	struct plan plan = { 0 };
	const char *protocol = "";
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'p': protocol = optarg; break;
		case 'l': plan.listen = endpoint("--listen", optarg); break;
		case 't': plan.to = endpoint("--to", optarg); break;
		case 's': plan.seconds = real_number("--seconds", optarg, 0.01, 3600); break;
		case 'h': puts(USAGE); exit(0);
		default: exit(2);
		}
	}
	plan.tcp = !strcmp(protocol, "tcp");
	if (optind != argc || (!plan.tcp && strcmp(protocol, "udp")) || !plan.listen.sin_port == !plan.to.sin_port ||
	    !plan.to.sin_port != !plan.seconds)
		usage_error("%s", USAGE);
	return plan;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* TCP is read and thrown away; UDP fills the socket's buffer, after which the IP stack throws it away itself. */
static void receive(const struct plan *plan, int fd)
{
	static char buffer[TCP_BYTES];
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (const void *)&plan->listen, sizeof plan->listen) || (plan->tcp && listen(fd, 1)))
		fail("listen");
	puts("ready");
	fflush(stdout);
	if (!plan->tcp) {
		while (read(STDIN_FILENO, buffer, sizeof buffer) > 0)
			;
		return;
	}
	int peer = accept(fd, NULL, NULL);

	if (peer < 0)
		fail("accept");
	while (recv(peer, buffer, sizeof buffer, 0) > 0)
		;
}

static void send_tcp(const struct plan *plan, int fd)
{
	static char buffer[TCP_BYTES];
	uint64_t bytes = 0;
	double start = now(), end = start + plan->seconds;

	do {
		ssize_t n = send(fd, buffer, sizeof buffer, 0);

		if (n < 0)
			fail("send");
		bytes += n;
	} while (now() < end);
	printf("{\"bytes\":%llu,\"seconds\":%.6f}\n", (unsigned long long)bytes, now() - start);
}

static void send_udp(const struct plan *plan, int fd)
{
	static char buffer[UDP_BYTES];
	struct iovec part = { buffer, sizeof buffer };
	struct mmsghdr messages[UDP_BATCH] = { 0 };
	uint64_t packets = 0;
	double start = now(), end = start + plan->seconds;

	for (int i = 0; i < UDP_BATCH; i++)
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &part, .msg_iovlen = 1 };
	do {
		int n = sendmmsg(fd, messages, UDP_BATCH, 0);

		if (n < 0)
			fail("sendmmsg");
		packets += n;
	} while (now() < end);
	printf("{\"packets\":%llu,\"seconds\":%.6f}\n", (unsigned long long)packets, now() - start);
}

int main(int argc, char **argv)
{
	struct plan plan = parse(argc, argv);
	int fd = socket(AF_INET, plan.tcp ? SOCK_STREAM : SOCK_DGRAM, 0);

	signal(SIGPIPE, SIG_IGN);
	if (fd < 0)
		fail("socket");
	if (plan.listen.sin_port) {
		receive(&plan, fd);
	} else if (connect(fd, (const void *)&plan.to, sizeof plan.to)) {
		fail("connect");
	} else if (plan.tcp) {
		send_tcp(&plan, fd);
	} else {
		send_udp(&plan, fd);
	}
	close(fd);
	return 0;
}
