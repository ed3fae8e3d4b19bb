/* SPDX-License-Identifier: GPL-2.0-only */
/* What counter.bpf.c counts and counter.c prints. Addresses and ports in network order, the rest in host order. */
#ifndef WIRE_COUNTER_H
#define WIRE_COUNTER_H

#include <linux/types.h>

#define COUNTER_MAX_ROWS 65536
#define COUNTER_MAX_SOURCES 1024
/* How far back a sequence number can be told from a duplicate. */
#define COUNTER_WINDOW 64

/* One row per receiver and source of packets. */
struct counter_key {
	__u8 address[16]; /* destination, IPv4 as ::ffff:a.b.c.d */
	__be16 port;
	__u16 pad;
	__u32 ssrc;
};

struct counter_row {
	__u64 packets;    /* all, duplicates included */
	__u64 bytes;      /* UDP payload */
	__u64 unique;     /* packets seen for the first time */
	__u64 duplicated;
	__u64 reordered;  /* first seen after a later one */
	__u64 old;        /* behind the window: a duplicate or a very late one */
	__u64 first;      /* how often this receiver was the first of all to get a sequence number of the source */
	__u64 seen;       /* bit n: sequence number highest - n has been seen */
	__u32 started;
	__u32 lowest;     /* extended sequence numbers; the first packet's is 65536 + seq */
	__u32 highest;
	__u32 pad;
};

struct counter_totals {
	__u64 rtp;
	__u64 rtcp;
	__u64 other;      /* in the port range, but neither */
	__u64 aggregated; /* skbs of several packets, which this program cannot look into: must be 0 */
	__u64 overflow;   /* packets without a row: the table is full */
};

#endif
