/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps that all programs share. The loader creates them once (with command.bpf.o) and hands them to the engines. */
#ifndef FANOUT_MAPS_H
#define FANOUT_MAPS_H

#include "fanout_abi.h"
#include "times.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FANOUT_MAX_STREAMS * FANOUT_KINDS);
	__type(key, struct fanout_listen_key);
	__type(value, struct fanout_listen);
} listen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FANOUT_MAX_STREAMS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fanout_stream);
} streams SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FANOUT_MAX_PAGES * FANOUT_PAGE_SLOTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fanout_viewer);
} viewers SEC(".maps");

/* Which stream a page of viewer slots is lent to, plus one; 0: free. Written by the command program only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FANOUT_MAX_PAGES);
	__type(key, __u32);
	__type(value, __u32);
} pages SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FANOUT_MAX_STREAMS * FANOUT_TICKETS);
	__type(key, __u32);
	__type(value, struct fanout_ticket);
} tickets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FANOUT_PARKED);
	__type(key, __u32);
	__type(value, struct fanout_parked);
} parked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fanout_cached);
} cache SEC(".maps");

struct locked_reception {
	struct bpf_spin_lock lock;
	__u32 pad;
	struct fanout_reception reception;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FANOUT_MAX_STREAMS);
	__type(key, __u32);
	__type(value, struct locked_reception);
} reception SEC(".maps");

#define LAYERING_RECENT 128 /* a power of two */
#define TEMPLATES 64	     /* of dependency descriptors: as many as there are ids */
#define TEMPLATE_SPATIAL 3   /* what is kept of one (descriptor.h): its spatial id ... */
#define TEMPLATE_TEMPORAL 7  /* ... temporal id, shifted ... */
#define TEMPLATE_TEMPORAL_SHIFT 2
#define TEMPLATE_SWITCH 0x20 /* ... and whether its frames let more layers begin */

/* What `above` was (layering.h) before the packet with that extended sequence number. */
struct numbered {
	__u32 extended;
	__u16 above[FANOUT_LAYERS];
};

/* A stream's layers: of the unit that is being sent, of the picture, and of the numbering. The datapath's own, under its lock. */
struct locked_layering {
	struct bpf_spin_lock lock;
	__u32 generation; /* of the stream that this is about */
	__u32 source_epoch;
	__u32 ssrc;	  /* as viewers see it */
	__u32 highest;	  /* extended sequence number; goes on for ever, so that `recent` has nothing of another time */
	__u32 picture;	  /* timestamp of the newest */
	__u32 open_timestamp;
	__u32 cra_timestamp;
	__u16 open_seq; /* of the packet that goes on with the unit */
	__u16 bad_seq;
	__u8 open; /* the last packet ended in the middle of a unit, of these layers: */
	__u8 open_spatial;
	__u8 open_temporal;
	__u8 cra;    /* no trailing picture has come since a CRA picture */
	__u8 placed; /* a packet has a number */
	__u8 epoch;
	__u8 lowest; /* layer that has come of the picture */
	__u8 notion;
	__u8 template_offset; /* of AV1's structure: the first template's id ... */
	__u8 template_count;  /* ... and how many there are; 0: it is not known */
	__u8 several;         /* it has more than one spatial layer */
	__u8 pad[5];
	__u8 templates[TEMPLATES] __attribute__((aligned(8)));
	__u16 above[FANOUT_LAYERS];
	struct numbered recent[LAYERING_RECENT];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FANOUT_MAX_STREAMS);
	__type(key, __u32);
	__type(value, struct locked_layering);
} layerings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FANOUT_XDP_DEVICES);
	__type(key, __u32);
	__type(value, struct fanout_device);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct fanout_global);
} global SEC(".maps");

static __always_inline struct fanout_stream *stream_at(__u32 index)
{
	return bpf_map_lookup_elem(&streams, &index);
}

static __always_inline struct fanout_ticket *ticket_at(__u32 stream, __u32 number)
{
	__u32 index = stream * FANOUT_TICKETS + number % FANOUT_TICKETS;

	return bpf_map_lookup_elem(&tickets, &index);
}

static __always_inline struct fanout_global *the_global(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&global, &zero);
}

/* Index into `viewers` of a stream's position, or -1 when that position has no page. */
static __always_inline __s32 slot_of(const struct fanout_stream *s, __u32 position)
{
	__u16 page = s->page[position / FANOUT_PAGE_SLOTS % FANOUT_STREAM_PAGES];

	return page ? (page - 1) * FANOUT_PAGE_SLOTS + position % FANOUT_PAGE_SLOTS : -1;
}

#endif
