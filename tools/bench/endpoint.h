/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 endpoints on the command line. */
#ifndef BENCH_ENDPOINT_H
#define BENCH_ENDPOINT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "arguments.h"

/* "192.0.2.1:5000" */
static inline struct sockaddr_in endpoint(const char *option, const char *text)
{
	struct sockaddr_in out = { .sin_family = AF_INET };
	char address[INET_ADDRSTRLEN] = "";
	const char *colon = strchr(text, ':');

	if (colon && (size_t)(colon - text) < sizeof address)
		memcpy(address, text, colon - text);
	if (inet_pton(AF_INET, address, &out.sin_addr) != 1)
		usage_error("%s: '%s' is not ADDRESS:PORT", option, text);
	out.sin_port = htons(whole_number(option, colon + 1, 1, 65535));
	return out;
}

static inline void fail(const char *what)
{
	perror(what);
	exit(1);
}

#endif
