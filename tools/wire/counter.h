/* SPDX-License-Identifier: GPL-2.0-only */
/* What counter.bpf.c counts and counter.c prints. Addresses and ports in network order, the rest in host order. */
#ifndef WIRE_COUNTER_H
#define WIRE_COUNTER_H

#include <linux/types.h>

/* Receivers are counted by blocks of neighbouring ports: then few hash elements are looked up again and again. */
#define COUNTER_BLOCK_PORTS 8
#define COUNTER_MAX_BLOCKS 65536
#define COUNTER_MAX_SOURCES 1024
/* How far back a sequence number can be told from a duplicate. */
#define COUNTER_WINDOW 64

/* A block of receivers, and the source of their packets. */
struct counter_key {
	__u8 address[16]; /* destination, IPv4 as ::ffff:a.b.c.d */
	__u32 block;      /* destination port / COUNTER_BLOCK_PORTS */
	__u32 ssrc;
};

/* One per receiver and source: a cache line. */
struct counter_row {
	__u64 packets;    /* all, duplicates included */
	__u64 bytes;      /* UDP payload */
	__u64 unique;     /* packets seen for the first time */
	__u64 seen;       /* bit n: sequence number highest - n has been seen */
	__u32 duplicated;
	__u32 reordered;  /* first seen after a later one */
	__u32 old;        /* behind the window: a duplicate or a very late one */
	__u32 first;      /* how often this receiver was the first of all to get a sequence number of the source */
	__u32 started;
	__u32 lowest;     /* extended sequence numbers; the first packet's is 65536 + seq */
	__u32 highest;
	__u32 busy;       /* the program is at it on some CPU */
};

/* The kernel puts 48 bytes and the key before it: rows begin with a cache line. */
struct counter_block {
	__u32 pad[14];
	struct counter_row rows[COUNTER_BLOCK_PORTS];
};

struct counter_totals {
	__u64 rtp;
	__u64 rtcp;
	__u64 other;      /* in the port range, but neither */
	__u64 aggregated; /* skbs of several packets, which this program cannot look into: must be 0 */
	__u64 overflow;   /* packets without a row: the table is full, or another CPU was at it all the time */
	/* The program's own: a source that this CPU saw last, and that somebody has got up to `highest` of it. */
	__u32 ssrc;
	__u16 highest;
	__u16 known;
};

#endif
