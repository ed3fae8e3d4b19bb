/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendto - the same job done with sockets: each datagram that comes in on one UDP socket goes out to N viewers. The least
 * that a program in C can do, to compare with: no RTP, no rotation, no counters per viewer.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "endpoint.h"

enum {
	MAX_VIEWERS = 65536,
	MAX_DATAGRAM = 65536,
	BATCH = 1024, /* the kernel's UIO_MAXIOV */
	BUFFER = 8 << 20,
};

static const char USAGE[] =
	"usage: sendto --listen ADDRESS:PORT --mode sendto|sendmmsg < VIEWERS\n"
	"VIEWERS: a line of ADDRESS:PORT each. Prints \"ready\" when it has read them all, and what it sent as one JSON object on\n"
	"SIGTERM or SIGINT.";

static volatile sig_atomic_t stop;
static struct sockaddr_in viewers[MAX_VIEWERS];
static struct mmsghdr messages[MAX_VIEWERS];
static uint64_t received, sent, failed;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

/* Without SA_RESTART: the signal ends recv. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

static unsigned read_viewers(void)
{
	char line[64];
	unsigned count = 0;

	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (count == MAX_VIEWERS)
			usage_error("more than %d viewers", MAX_VIEWERS);
		viewers[count++] = endpoint("viewer", line);
	}
	return count;
}

static int open_socket(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), buffer = BUFFER;

	if (fd < 0)
		fail("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
	if (at && bind(fd, (const void *)at, sizeof *at))
		fail("bind");
	return fd;
}

static void one_by_one(int fd, const void *datagram, size_t length, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (sendto(fd, datagram, length, 0, (const void *)&viewers[i], sizeof viewers[i]) < 0)
			failed++;
		else
			sent++;
	}
}

static void all_at_once(int fd, unsigned count)
{
	for (unsigned i = 0; i < count;) {
		unsigned batch = count - i < BATCH ? count - i : BATCH;
		int n = sendmmsg(fd, messages + i, batch, 0);

		if (n > 0) {
			sent += n;
			i += n;
		} else {
			failed++;
			i++;
		}
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", 1, 0, 'l' }, { "mode", 1, 0, 'm' }, { "help", 0, 0, 'h' }, { 0 },
	};
	static char datagram[MAX_DATAGRAM];
	struct iovec part = { .iov_base = datagram };
	struct sockaddr_in listen = { 0 };
	const char *mode = "";
	int option, in, out;
	unsigned count;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'l') {
			listen = endpoint("--listen", optarg);
		} else if (option == 'm') {
			mode = optarg;
		} else if (option == 'h') {
			puts(USAGE);
			return 0;
		} else {
			return 2;
		}
	}
	if (optind != argc || !listen.sin_port || (strcmp(mode, "sendto") && strcmp(mode, "sendmmsg")))
		usage_error("%s", USAGE);
	count = read_viewers();
	for (unsigned i = 0; i < count; i++)
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = &viewers[i], .msg_namelen = sizeof viewers[i], .msg_iov = &part, .msg_iovlen = 1,
		};
	in = open_socket(&listen);
	out = open_socket(NULL);
	catch_signals();
	puts("ready");
	fflush(stdout);
	while (!stop) {
		ssize_t length = recv(in, datagram, sizeof datagram, 0);

		if (length < 0)
			continue;
		received++;
		part.iov_len = length;
		if (!strcmp(mode, "sendto"))
			one_by_one(out, datagram, length, count);
		else
			all_at_once(out, count);
	}
	printf("{\"received\":%llu,\"sent\":%llu,\"failed\":%llu}\n", (unsigned long long)received,
	       (unsigned long long)sent, (unsigned long long)failed);
	return 0;
}
