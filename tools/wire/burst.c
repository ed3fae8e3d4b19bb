/* SPDX-License-Identifier: Apache-2.0 */
/*
 * burst - a source of RTP-like packets in bursts, on an absolute schedule, so that a late wake-up does not lower the
 * rate. Sequence numbers wrap, all packets of a burst carry one timestamp, the last one has the marker bit
 * (RFC 3550 5.1): what a camera does with a key frame.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"

enum {
	RTP_HEADER = 12,
	MAX_BYTES = 65507, /* of UDP payload over IPv4 */
	MAX_BURST = 1024,  /* the kernel's UIO_MAXIOV: one sendmmsg */
	MAX_GSO = 128,     /* the kernel's UDP_MAX_SEGMENTS, once 64 */
	MAX_STREAMS = 4096,
	CLOCK_RATE = 90000,
	SEND_BUFFER = 8 << 20,
	PAGE_BYTES = 4096,
	PAGED_SLOTS = 2048, /* packets under way at the same time, at most */
};

static const char USAGE[] =
	"usage: burst --to ADDRESS:PORT --pps RATE --bytes N --burst N (--seconds S | --count N)\n"
	"             [--from [ADDRESS:]PORT] [--ssrc N] [--first-seq N] [--payload-type N] [--gso N | --paged]\n"
	"             [--streams N --stride PORTS]\n"
	"Sends RTP packets of N bytes (header included), RATE a second on average, back to back in bursts.\n"
	"With --gso the kernel gets so many of a burst at once (UDP_SEGMENT), to be cut apart by the device.\n"
	"With --paged all behind the UDP header stays in a page of its own, as many network cards leave it, and is shared\n"
	"by copies of the packet instead of being copied with them.\n"
	"With --streams so many are sent to PORT, PORT + PORTS and so on, RATE each, one after the other; their SSRCs follow N.\n"
	"IPv6 addresses stand in brackets. Prints one JSON object when done.";

struct plan {
	struct sockaddr_storage to, from;
	double packets_per_second;
	unsigned bytes, burst, gso; /* gso: packets per message */
	unsigned streams, stride;   /* stride: ports from one stream's to the next */
	uint64_t count;
	uint32_t ssrc;
	uint16_t first_seq;
	uint8_t payload_type;
	bool paged;
};

struct outcome {
	uint64_t sent, refused, bursts;
	int64_t latest_ns; /* how late the latest burst left */
};

/* "A:P", "[A6]:P" or, where allowed, "P" alone (any address of the family). */
static void parse_endpoint(const char *option, const char *text, int family, struct sockaddr_storage *out)
{
	char address[INET6_ADDRSTRLEN + 2] = "";
	const char *colon = strrchr(text, ':');
	const char *port = colon ? colon + 1 : text;
	size_t length = colon ? (size_t)(colon - text) : 0;
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	in_port_t be_port = htons(whole_number(option, port, 1, 65535));

	memset(out, 0, sizeof *out);
	if (length == 0 && family != AF_UNSPEC) {
		out->ss_family = family;
	} else if (length >= 3 && length < sizeof address && text[0] == '[' && text[length - 1] == ']') {
		memcpy(address, text + 1, length - 2);
		out->ss_family = AF_INET6;
	} else if (length > 0 && length < sizeof address) {
		memcpy(address, text, length);
		out->ss_family = AF_INET;
	} else {
		usage_error("%s: '%s' is not ADDRESS:PORT", option, text);
	}
	if (*address && inet_pton(out->ss_family, address,
				  out->ss_family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr) != 1)
		usage_error("%s: '%s' is not an IP address", option, address);
	if (out->ss_family == AF_INET)
		v4->sin_port = be_port;
	else
		v6->sin6_port = be_port;
}

_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "port");

/* Of either family: it stands at the same place. */
static unsigned port_of(const struct sockaddr_storage *address)
{
	return ntohs(((const struct sockaddr_in *)address)->sin_port);
}

static struct plan parse(int argc, char **argv)
{
	enum { TO, FROM, PPS, BYTES, BURST, SECONDS, COUNT, SSRC, FIRST_SEQ, PAYLOAD_TYPE, GSO, PAGED, STREAMS, STRIDE, HELP };
	static const struct option options[] = {
		{ "to", 1, 0, TO }, { "from", 1, 0, FROM }, { "pps", 1, 0, PPS }, { "bytes", 1, 0, BYTES },
		{ "burst", 1, 0, BURST }, { "seconds", 1, 0, SECONDS }, { "count", 1, 0, COUNT },
		{ "ssrc", 1, 0, SSRC }, { "first-seq", 1, 0, FIRST_SEQ }, { "payload-type", 1, 0, PAYLOAD_TYPE },
		{ "gso", 1, 0, GSO }, { "paged", 0, 0, PAGED },
		{ "streams", 1, 0, STREAMS }, { "stride", 1, 0, STRIDE },
		{ "help", 0, 0, HELP }, { 0 },
	};
	struct plan plan = { .ssrc = 0x52464f31, .payload_type = 96, .gso = 1, .streams = 1, .stride = 2 };
	const char *to = NULL, *from = NULL;
	double seconds = 0;
	int option, at;

	while ((option = getopt_long(argc, argv, "", options, &at)) != -1) {
		switch (option) {
		case TO: to = optarg; break;
		case FROM: from = optarg; break;
		case PPS: plan.packets_per_second = real_number("--pps", optarg, 0.01, 1e7); break;
		case BYTES: plan.bytes = whole_number("--bytes", optarg, RTP_HEADER, MAX_BYTES); break;
		case BURST: plan.burst = whole_number("--burst", optarg, 1, MAX_BURST); break;
		case SECONDS: seconds = real_number("--seconds", optarg, 0.001, 86400); break;
		case COUNT: plan.count = whole_number("--count", optarg, 1, 1000000000000); break;
		case SSRC: plan.ssrc = whole_number("--ssrc", optarg, 0, UINT32_MAX); break;
		case FIRST_SEQ: plan.first_seq = whole_number("--first-seq", optarg, 0, UINT16_MAX); break;
		case PAYLOAD_TYPE: plan.payload_type = whole_number("--payload-type", optarg, 0, 127); break;
		case GSO: plan.gso = whole_number("--gso", optarg, 1, MAX_GSO); break;
		case PAGED: plan.paged = true; break;
		case STREAMS: plan.streams = whole_number("--streams", optarg, 1, MAX_STREAMS); break;
		case STRIDE: plan.stride = whole_number("--stride", optarg, 1, 1024); break;
		case HELP: puts(USAGE); exit(0);
		default: exit(2);
		}
	}
	if (optind != argc || !to || !plan.packets_per_second || !plan.bytes || !plan.burst ||
	    (seconds > 0) == (plan.count > 0))
		usage_error("%s", USAGE);
	if (plan.gso * plan.bytes > MAX_BYTES)
		usage_error("--gso: more than %d bytes at once", MAX_BYTES);
	if (plan.paged && (plan.streams > 1 || plan.gso > 1 || plan.bytes > PAGE_BYTES || plan.burst > PAGED_SLOTS / 2))
		usage_error("--paged: not with --gso or --streams, nor more than %d bytes or %d packets at once", PAGE_BYTES, PAGED_SLOTS / 2);
	parse_endpoint("--to", to, AF_UNSPEC, &plan.to);
	if (port_of(&plan.to) + (plan.streams - 1) * plan.stride > 65535)
		usage_error("--streams: the last one's port would be above 65535");
	if (from)
		parse_endpoint("--from", from, plan.to.ss_family, &plan.from);
	if (from && plan.from.ss_family != plan.to.ss_family)
		usage_error("--from: not of the address family of --to");
	if (seconds > 0)
		plan.count = (uint64_t)(seconds * plan.packets_per_second + 0.5);
	if (!plan.count)
		usage_error("--seconds: too short for a single packet");
	return plan;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int open_socket(const struct plan *plan)
{
	int buffer = SEND_BUFFER;
	int fd = socket(plan->to.ss_family, SOCK_DGRAM, 0);

	if (fd < 0)
		fail("socket");
	/* Forced where allowed: a burst must leave back to back, not wait for buffer space. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
	if (plan->gso > 1 && setsockopt(fd, SOL_UDP, UDP_SEGMENT, &(int){ plan->bytes }, sizeof(int)))
		fail("UDP_SEGMENT");
	if (plan->from.ss_family && bind(fd, (const void *)&plan->from, sizeof plan->from))
		fail("bind");
	if (plan->streams == 1 && connect(fd, (const void *)&plan->to, sizeof plan->to))
		fail("connect");
	return fd;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void sleep_until(int64_t ns)
{
	struct timespec t = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void write_header(uint8_t *packet, const struct plan *plan, unsigned stream, uint64_t n, uint32_t timestamp,
			 bool marker)
{
	uint16_t seq = htons((uint16_t)(plan->first_seq + n));
	uint32_t be_timestamp = htonl(timestamp), ssrc = htonl(plan->ssrc + stream);

	packet[0] = 0x80; /* version 2 */
	packet[1] = (marker ? 0x80 : 0) | plan->payload_type;
	memcpy(packet + 2, &seq, sizeof seq);
	memcpy(packet + 4, &be_timestamp, sizeof be_timestamp);
	memcpy(packet + 8, &ssrc, sizeof ssrc);
}

/* An error of an earlier packet (ICMP, full queue) is counted, not fatal. */
static void send_burst(int fd, struct mmsghdr *messages, unsigned count, unsigned bytes, struct outcome *outcome)
{
	unsigned done = 0;

	while (done < count) {
		int n = sendmmsg(fd, messages + done, count - done, 0);

		if (n > 0) {
			for (; n > 0; n--)
				outcome->sent += messages[done++].msg_len / bytes;
		} else if (errno == ECONNREFUSED || errno == ENOBUFS) {
			outcome->refused += messages[done++].msg_hdr.msg_iov->iov_len / bytes;
		} else if (errno != EINTR) {
			fail("sendmmsg");
		}
	}
	outcome->bursts++;
}

/* Where packets are written. Those in pages are sent from there, so a page is used again only when its packet has long arrived. */
struct store {
	uint8_t *start;
	size_t stride, slots;
	int pipe[2];
};

static struct store open_store(const struct plan *plan)
{
	struct store store = { .stride = plan->bytes, .slots = plan->burst, .pipe = { -1, -1 } };

	if (plan->paged) {
		store.stride = PAGE_BYTES;
		store.slots = PAGED_SLOTS;
		if (pipe(store.pipe))
			fail("pipe");
	}
	store.start = aligned_alloc(PAGE_BYTES, (store.stride * store.slots + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES);
	if (!store.start)
		fail("aligned_alloc");
	memset(store.start, 0, store.stride * store.slots);
	return store;
}

static uint8_t *slot(const struct store *store, uint64_t n)
{
	return store->start + n % store->slots * store->stride;
}

static void send_paged(int fd, const struct store *store, uint64_t first, unsigned count, unsigned bytes, struct outcome *outcome)
{
	for (unsigned i = 0; i < count; i++) {
		struct iovec part = { slot(store, first + i), bytes };

		if (vmsplice(store->pipe[1], &part, 1, 0) != (ssize_t)bytes)
			fail("vmsplice");
		if (splice(store->pipe[0], NULL, fd, NULL, bytes, 0) != (ssize_t)bytes)
			fail("splice");
		outcome->sent++;
	}
	outcome->bursts++;
}

static struct outcome send_all(int fd, const struct plan *plan)
{
	struct store store = open_store(plan);
	struct mmsghdr *messages = calloc(plan->burst, sizeof *messages);
	struct iovec *parts = calloc(plan->burst, sizeof *parts);
	struct outcome outcome = { 0 };
	int64_t start = now_ns();

	if (!messages || !parts)
		fail("calloc");
	for (unsigned i = 0; i < plan->burst; i++)
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	for (uint64_t n = 0; n < plan->count; n += plan->burst)
		for (unsigned stream = 0; stream < plan->streams; stream++) {
			unsigned size = plan->count - n < plan->burst ? (unsigned)(plan->count - n) : plan->burst;
			double before = (double)stream / plan->streams * plan->burst; /* of this burst's time, the others' part */
			double seconds = (n + before) / plan->packets_per_second;
			int64_t due = start + (int64_t)(seconds * 1e9), late;
			struct sockaddr_storage to = plan->to;

			((struct sockaddr_in *)&to)->sin_port = htons(port_of(&plan->to) + stream * plan->stride);
			for (unsigned i = 0; i < size; i++)
				write_header(slot(&store, n + i), plan, stream, n + i,
					     (uint32_t)(uint64_t)(seconds * CLOCK_RATE), i == size - 1);
			sleep_until(due);
			late = now_ns() - due;
			if (late > outcome.latest_ns)
				outcome.latest_ns = late;
			if (plan->paged) {
				send_paged(fd, &store, n, size, plan->bytes, &outcome);
				continue;
			}
			for (unsigned i = 0; i < size; i += plan->gso) {
				parts[i / plan->gso] = (struct iovec){
					slot(&store, n + i),
					(size_t)(size - i < plan->gso ? size - i : plan->gso) * plan->bytes,
				};
				if (plan->streams > 1) {
					messages[i / plan->gso].msg_hdr.msg_name = &to;
					messages[i / plan->gso].msg_hdr.msg_namelen = sizeof to;
				}
			}
			send_burst(fd, messages, (size + plan->gso - 1) / plan->gso, plan->bytes, &outcome);
		}
	free(store.start);
	free(messages);
	free(parts);
	return outcome;
}

int main(int argc, char **argv)
{
	struct plan plan = parse(argc, argv);
	int fd = open_socket(&plan);
	int64_t start = now_ns();
	struct outcome outcome = send_all(fd, &plan);

	printf("{\"sent\":%llu,\"refused\":%llu,\"bursts\":%llu,\"bytes\":%llu,\"seconds\":%.3f,\"latestMs\":%.3f,"
	       "\"firstSeq\":%u,\"lastSeq\":%u}\n",
	       (unsigned long long)outcome.sent, (unsigned long long)outcome.refused,
	       (unsigned long long)outcome.bursts, (unsigned long long)outcome.sent * plan.bytes,
	       (now_ns() - start) / 1e9, outcome.latest_ns / 1e6, plan.first_seq,
	       (uint16_t)(plan.first_seq + plan.count - 1));
	close(fd);
	return 0;
}
