/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fanout_abi.h - the contract between the kernel programs and the control plane.
 *
 * The only header that both sides know. tools/abi reads its BTF out of the compiled object and writes
 * src/control/kernel/abi.gen.ts; a test fails when the two differ. Numbers in enums are never reused or renumbered.
 * Every struct has explicit padding and its size asserted, and says who writes it.
 *
 * Addresses are 16 bytes in network order, IPv4 as ::ffff:a.b.c.d; ports are in network order (__be16) wherever a
 * packet carries them; everything else is host order. Times are CLOCK_MONOTONIC nanoseconds (bpf_ktime_get_ns).
 */
#ifndef FANOUT_ABI_H
#define FANOUT_ABI_H

#include <linux/types.h>

enum fanout_version {
	FANOUT_ABI_VERSION = 7,
};

/* A ticket whose first pass has not come yet: who is served first is decided then. */
#define FANOUT_NO_START 0xffffffffu

/* ---- limits ------------------------------------------------------------------------------------------------- */
enum fanout_limit {
	FANOUT_MAX_STREAMS = 1024,          /* one per m= section: 512 resources with picture and sound */
	FANOUT_PAGE_SLOTS = 32,             /* viewer slots are lent to streams by the page */
	FANOUT_MAX_PAGES = 2048,            /* 65536 viewer slots in all */
	FANOUT_STREAM_PAGES = 512,          /* 16384 viewers per stream */
	FANOUT_TICKETS = 256,               /* ring of tickets per stream, a power of two */
	FANOUT_STREAM_IN_FLIGHT = 200,      /* tickets of one stream that may be unfinished at once */
	FANOUT_BASE_TICKETS = 50,           /* of these, the last, which only packets of layer 0 get */
	FANOUT_CARRIED = 3,                 /* of these, the oldest, that templates are under way for; the others are parked */
	FANOUT_CARRIED_XDP = 1,             /* the same with XDP, of a stream of one lane */
	FANOUT_TOTAL_IN_FLIGHT = 240,       /* templates of all streams: less than the 256 entries of the private veth's ring */
	FANOUT_PARKED = 1024,               /* parked packets of all streams */
	FANOUT_PARKED_BYTES = 2032,         /* the longest frame that can be parked; a longer one waits as a template */
	FANOUT_DATAGRAM_SEGMENTS = 128,     /* datagrams that one GSO packet may carry (the kernel's UDP_MAX_SEGMENTS, once 64) */
	FANOUT_OVERDUE_PASSES = 2048,       /* passes of others in the same queue after which a template is lost: it holds no
	                                     * more than FANOUT_TOTAL_IN_FLIGHT, and is served in turn but for departure times */
	FANOUT_ROOMS = 2,                   /* queues that templates wait in: TC's and XDP's */
	FANOUT_LANE_SLOTS = 512,            /* positions of a stream that are served on the same CPU (lane.h), a power of two */
	FANOUT_PASS_COPIES = 192,           /* copies per pass, less than the 256 entries of a veth's ring */
	FANOUT_SLOW_COPIES = 16,            /* a pass that was stopped with fewer has found little room: its template slows down */
	FANOUT_SR_HISTORY = 8,              /* sender reports whose local send time is remembered */
	FANOUT_XDP_DEVICES = 64,            /* egress devices that XDP can serve */
	FANOUT_XDP_CHUNK = 64,              /* copies per pass of XDP: what the far end of a veth takes at a time */
	FANOUT_XDP_CHUNKS = 11,             /* device maps per device, for 1, 2, 4, 8, 16, 24 ... 64 copies */
	FANOUT_XDP_BATCH = 16,              /* frames the kernel hands to a driver at once (XDP_BULK_QUEUE_SIZE) */
	FANOUT_XDP_FRAME = 3400,            /* bytes; a larger template waits in TC's queue: XDP wants it in one page */
	FANOUT_CACHED_BYTES = 1480,         /* RTP packet that the picture cache takes: IP packets of 1508 bytes */
	FANOUT_TTL = 64,                    /* time to live of a copy: viewers see us as the sender, so they get a fresh one */
	FANOUT_CACHED_NOTHING = 1,          /* `length` of an entry whose ticket was no RTP packet's */
	FANOUT_CACHED_NOT_KEPT = 2,         /* ... whose packet an entry cannot hold */
	FANOUT_LAYERS = 8,                  /* 0 is the base; what they are is in docs/layers.md */
	FANOUT_TOP_LAYER = 7,               /* the allowance of a viewer that gets all there is */
	FANOUT_END_OCTETS = 4,              /* RTP payload of what stands for the end of a picture */
	FANOUT_LAYER_WINDOW_MS = 200,       /* of layer_average */
	FANOUT_LAYER_WINDOWS = 64,          /* after so many windows without a packet the averages are 0 */
};

/* ---- why a packet, or a copy of it, was not sent ------------------------------------------------------------- */
enum fanout_drop {
	FANOUT_DROP_NONE = 0,
	FANOUT_DROP_NOT_SOURCE = 1,         /* to a stream's port, but not from its source */
	FANOUT_DROP_MALFORMED = 2,          /* shorter than its headers say, or not RTP/RTCP version 2 */
	FANOUT_DROP_NO_VIEWER = 3,          /* nobody plays this stream */
	FANOUT_DROP_NO_TICKET = 4,          /* refused whole at the entrance: all tickets are out */
	FANOUT_DROP_FRAGMENT = 5,           /* an IP fragment of our stream: not handled by this engine */
	FANOUT_DROP_IP_OPTIONS = 6,         /* IP options: not handled by this engine */
	FANOUT_DROP_TEMPLATE_DIED = 7,      /* the waiting packet could not be queued again */
	FANOUT_DROP_TICKET_LATE = 8,        /* a waiting packet came back after its ticket had been given up */
	FANOUT_DROP_EGRESS_REFUSED = 9,     /* a copy: the egress queue stayed full for FANOUT_REFUSED_NS */
	FANOUT_DROP_EGRESS_ERROR = 10,      /* a copy: the egress device is down or gone */
	FANOUT_DROP_TOO_BIG = 11,           /* a copy: larger than the egress device, or the way to the viewer, takes */
	FANOUT_DROP_NO_MEMORY = 12,         /* the packet could not be made writable */
	FANOUT_DROP_STALE = 13,             /* no heartbeat: the control plane is dead */
	FANOUT_DROP_FOREIGN_TEMPLATE = 14,  /* on the private device, but not one of ours */
	FANOUT_DROP_TICKET_LOST = 15,       /* a waiting packet never came back; its ticket was given up */
	FANOUT_DROP_OUT_OF_SEQUENCE = 16,   /* a copy: too late to be given a number among those of a viewer that is thinned */
	FANOUT_DROP_BEFORE_PICTURE = 17,    /* of a source that has taken another's place: a decoder cannot begin with it, or
					     * a sender report whose time viewers cannot be told yet */
	FANOUT_DROP_MAX = 32,
};

/* ---- keys and values of the maps ----------------------------------------------------------------------------- */

enum fanout_kind {
	FANOUT_RTP = 0,
	FANOUT_RTCP = 1,
	FANOUT_KINDS = 2,
	FANOUT_RTP_AND_RTCP = 3,            /* only in `listen`: a port for both, told apart by their packet type (RFC 5761) */
};

/* What begins a picture is told per codec (picture.h); of others nothing is known, and nothing is held back. */
enum fanout_codec {
	FANOUT_CODEC_OTHER = 0,
	FANOUT_CODEC_H264 = 1,
	FANOUT_CODEC_H265 = 2,
	FANOUT_CODEC_VP8 = 3,
	FANOUT_CODEC_VP9 = 4,
	FANOUT_CODEC_AV1 = 5,
};

/* Which of a packet's numbers its layer is: the notion of a stream (layer.h). */
enum fanout_notion {
	FANOUT_NOTION_NONE = 0,             /* no packet has told yet: all are of layer 0, and nobody is thinned */
	FANOUT_NOTION_DEPENDENCY = 1,       /* H.264 SVC: dependency_id */
	FANOUT_NOTION_TEMPORAL = 2,         /* H.265, VP9, AV1: temporal id */
	FANOUT_NOTION_SPATIAL = 3,          /* VP9, AV1: spatial id */
};

/* Map `listen` (hash): which stream a datagram to this local address and port belongs to.
 * Written by the command program only. */
struct fanout_listen_key {
	__u8 address[16];
	__be16 port;
	__u16 pad;
};
struct fanout_listen {
	__u32 stream;
	__u32 kind;                         /* enum fanout_kind */
};

enum fanout_stream_state {
	FANOUT_STREAM_FREE = 0,
	FANOUT_STREAM_OPEN = 1,
};

/* Map `streams` (array, mmapable). First part written by the command program, second by the datapath with atomics. */
struct fanout_stream {
	__u32 state;                        /* enum fanout_stream_state */
	__u32 generation;                   /* changes each time the slot is opened */
	__u8 source[16];                    /* the only address that counts as the source */
	__u8 local[16];                     /* where the source sends to */
	__be16 source_port[FANOUT_KINDS];   /* 0: any port of that address */
	__be16 local_port[FANOUT_KINDS];
	__u32 clock_rate;                   /* RTP timestamp units per second; 0: unknown, no jitter kept */
	__u32 codec;                        /* enum fanout_codec */
	__u32 payload_type;                 /* of that codec */
	__u32 descriptor;                   /* id of its dependency descriptors among the RTP header extensions; 0: none */
	__u32 cache_first;                  /* the stream's window in `cache`: first entry ... */
	__u32 cache_size;                   /* ... and how many; 0: it has none */
	__u32 pass_up;                      /* not 0: RTP also goes up to the socket that holds the port */
	__u32 source_epoch;                 /* changes when another source takes the place of the first */
	__u32 joining;                      /* not 0: somebody is being served from the cache: packets count although nobody plays */
	__u32 viewers;                      /* occupied slots */
	__u32 span;                         /* positions 0..span-1 may be occupied, the last one is */
	__u32 free_hint;                    /* no free position below this one */
	__u16 page[FANOUT_STREAM_PAGES];    /* position / FANOUT_PAGE_SLOTS -> page number + 1; 0: none */

	__u32 tail;                         /* the next ticket's number; wraps */
	__u32 head;                         /* the oldest ticket that is still out (== tail: none is) */
	__u32 rotation;                     /* position to serve first */
	__u32 home;                         /* the CPU that its packets arrived on when they last began, after a pause */
	__u32 cached;                       /* 1: the cache holds a beginning ... */
	__u32 cache_begin;                  /* ... with this ticket, and what came after it */
	__u64 packets;                      /* RTP from the source, counted by gso segments */
	__u64 bytes;                        /* their UDP payload */
	__u64 rtcp_packets;
	__u64 refused;                      /* packets refused whole, FANOUT_DROP_NO_TICKET */
	__u64 passes;                       /* services, the first included */
	__u64 waits;                        /* passes that could serve nobody: an earlier ticket was not done */
	__u64 parked;                       /* packets that were parked */
	__u64 woken_ns;                     /* when a template was last sent to look for parked packets that nobody carries */
	__u64 begin_by_ns;                  /* what comes before the beginning of a picture, or this time, counts for nothing; 0: all does */
	__u64 egress_full;                  /* passes that an egress queue ended */
	__u32 thinned;                      /* command program: not 0 once a viewer's allowance has been below the highest */
	__u32 notion;                       /* enum fanout_notion */
	__u32 counting;                     /* another number: the source counts its packets anew (another one, or SSRC) */
	__u64 layer_window_ns;              /* when the current window began; 0: no packet yet (layer_rate.h) */
	__u64 layer_bytes[FANOUT_LAYERS];   /* UDP payload that came in it */
	__u64 layer_average[FANOUT_LAYERS]; /* bytes/s, up to its beginning */
};

enum fanout_viewer_state {
	FANOUT_VIEWER_FREE = 0,
	FANOUT_VIEWER_ACTIVE = 1,           /* gets copies */
	FANOUT_VIEWER_BUSY = 2,             /* a CPU is making its copy; only that CPU touches the slot */
};

/* Map `viewers` (array, mmapable), index page * FANOUT_PAGE_SLOTS + position % FANOUT_PAGE_SLOTS.
 * `state` is the slot's lock (compare and swap ACTIVE -> BUSY); under it the datapath writes `next` and the
 * counters, the command program the rest. That makes the counters exact without atomic adds. */
struct fanout_viewer {
	__u32 state;                        /* enum fanout_viewer_state */
	__u32 next;                         /* the first ticket that this viewer has not been served */
	__u32 stream;                       /* stream index */
	__u32 generation;                   /* that stream's generation */
	__u32 id;                           /* the control plane's number for it */
	__u32 ifindex;                      /* egress device */
	__u32 mtu;                          /* largest IP packet that device takes, bytes */
	__u8 source[16];                    /* our address as this viewer knows it */
	__u8 address[16];
	__be16 source_port[FANOUT_KINDS];
	__be16 port[FANOUT_KINDS];
	__u8 source_mac[6];
	__u8 mac[6];                        /* next hop */
	__u64 packets;                      /* RTP copies handed to the egress, counted by gso segments */
	__u64 bytes;                        /* their UDP payload */
	__u64 ends;                         /* of these packets, those that stand for the end of a picture (picture_end.h) */
	__u64 rtcp_packets;
	__u64 drops;                        /* copies not sent, for whatever reason */
	__u64 added_ns;
	__u64 hold_until_ns;                /* held back until a picture begins, at most until then; 0: not held */
	__u64 held;                         /* RTP packets that were not sent because no picture had begun: no drops */
	__u32 first;                        /* packets of which this viewer was served first */
	__u32 refusing;                     /* its egress stayed full for FANOUT_REFUSED_NS and has taken nothing since */
	__u32 loss_fraction;                /* last receiver report: lost/256 since the one before */
	__s32 loss_cumulative;              /* signed: duplicates make it negative (RFC 3550 6.4.1) */
	__u32 loss_jitter;                  /* RTP timestamp units */
	__u32 ttl;                          /* of its copies; 0: the usual, FANOUT_TTL */
	__u8 allowance;                     /* command program: highest layer that it is to get */
	__u8 verbatim;                      /* command program: not 0: sequence numbers and markers stay as they came */
	__u8 level;                         /* highest layer that it gets now (thin.h has all of these) */
	__u8 goal;                          /* ... and may come to get within this picture */
	__u16 base;                         /* what its sequence numbers are less by, besides `above` at its level */
	__u16 since;                        /* from this sequence number on; before that ... */
	__u16 former_base;                  /* ... this ... */
	__u8 former_level;                  /* ... and this */
	__u8 epoch;                         /* of the numbering */
	__u32 picture;                      /* RTP timestamp of the picture that it is getting */
	__u8 started;                       /* 0: there was none yet */
	__u8 withheld;                      /* something of this picture was */
	__u16 former_since;                 /* ... from this sequence number on; before that, nobody knows any more */
	__u32 rtp_start;                    /* of the copy that is due, of a stream with thinned viewers (renumber.h) */
	__u32 report_packets;               /* or, of a sender report, its counts */
	__u32 report_octets;
	__u64 thinned_packets;              /* RTP packets that were left out on purpose: no drops */
	__u64 thinned_bytes;                /* their UDP payload */
	__u64 thinned_octets;               /* their RTP payload, what a sender report counts */
	__u32 counting;                     /* of the stream, when this was what had been left out and stood in for it: */
	__u32 former_packets;
	__u32 former_octets;
};

/* What the entrance has made of a packet's layer (layering.h), for thinning. */
struct fanout_packet_layer {
	__u16 seq;                          /* as viewers with all layers see it */
	__u16 flags;                        /* enum fanout_layer_flag */
	__u8 layer;
	__u8 enter_from;                    /* who gets layer enter_from - 1 may from here on get those up to enter_to */
	__u8 enter_to;                      /* 0: nobody */
	__u8 epoch;                         /* of the numbering: another one, and numbers begin anew */
	__u8 lowest;                        /* of an end of picture: the lowest layer that has come of it */
	__u8 pad;
	__u16 octets;                       /* of RTP payload */
	__u16 bytes;                        /* of UDP payload */
	__u16 counting;                     /* the stream's */
	__u32 timestamp;
	union {
		__u16 above[FANOUT_LAYERS]; /* packets of higher layers that came before, by layer; wraps */
		struct {
			__u32 report_packets; /* of FANOUT_LAYER_REPORT: its counts */
			__u32 report_octets;
		};
	};
};

enum fanout_layer_flag {
	FANOUT_LAYER_COUNTS = 1,            /* an RTP packet of a stream whose viewers may be thinned: the rest of the struct counts */
	FANOUT_LAYER_LATE = 2,              /* a packet with a higher sequence number has come before */
	FANOUT_LAYER_STRAY = 4,             /* its place in the numbering is not known */
	FANOUT_LAYER_FOREIGN = 8,           /* of another SSRC, with numbers of its own */
	FANOUT_LAYER_END = 16,              /* it stands for the end of a picture, for those who do not get its last packet */
	FANOUT_LAYER_TOP_ENDS = 32,         /* the last packet of its layer: who gets no higher one has the marker on this */
	FANOUT_LAYER_MARKED = 128,          /* it has the marker */
	FANOUT_LAYER_REPORT = 512,          /* no RTP packet but a sender report, to a stream's viewers that may be thinned */
	FANOUT_LAYER_OPENS = 256,           /* the first of its picture that has come */
	FANOUT_LAYER_ENDED = 64,            /* one with FANOUT_LAYER_END comes next, with its number */
};

enum fanout_ticket_state {
	FANOUT_TICKET_FREE = 0,
	FANOUT_TICKET_OUT = 1,              /* a template carries this packet: it is being served, or comes round */
	FANOUT_TICKET_DONE = 2,
	FANOUT_TICKET_DEAD = 3,             /* its template was lost; who was not served by then never is */
	FANOUT_TICKET_PARKED = 4,           /* its bytes are in `parked`, for the next template that is free */
	FANOUT_TICKET_MOVING = 5,           /* on the way to one of the other states: belongs to whoever put it there */
};

/* Map `tickets` (array), index stream * FANOUT_TICKETS + number % FANOUT_TICKETS. Written by whoever holds the
 * template, except that any CPU may turn OUT to DEAD when the template is lost (ticket.h). */
struct fanout_ticket {
	__u32 number;
	__u32 state;                        /* enum fanout_ticket_state */
	__u32 start;                        /* position served first; FANOUT_NO_START until the first pass */
	__u32 span;                         /* positions to serve */
	__u32 offset;                       /* positions done, from start, round the span */
	__u32 served;                       /* copies made */
	__u32 kind;                         /* enum fanout_kind */
	__u32 generation;                   /* of the stream when the packet came */
	__u32 begins;                       /* 1: a decoder can begin with this packet */
	__u32 room;                         /* which queue its template waits in: 0 TC's, 1 XDP's */
	__u32 seen_pass;                    /* `passes` of that queue at its last pass */
	__u32 parked;                       /* index into `parked`, while PARKED */
	__u64 seen_ns;                      /* last pass */
	__u64 refused_ns;                   /* since when the egress has taken nothing of this packet; 0: it took the last copy */
	struct fanout_packet_layer layer;
	__u32 moved;                        /* for which `offset`, + 1, its template was sent to that lane's CPU; 0: for none yet */
};

/* Map `parked` (array): packets whose turn has not come, as whole frames. An entry is its ticket's while that is PARKED or
 * MOVING; nobody gives it back. */
struct fanout_parked {
	__u64 owner;                        /* (stream + 1) << 32 | ticket number; 0: nobody's yet */
	__u32 length;
	__u32 v6;                           /* not 0: an IPv6 packet */
	__u8 frame[FANOUT_PARKED_BYTES];    /* its UDP checksum is whole */
};

/* Map `cache` (array, mmapable; the loader sets its size): RTP packets since the last beginning of a picture, for viewers
 * that join later. A stream has a window of entries; a ticket's packet is at number % cache_size of it. Written by the
 * datapath; a reader copies, then looks whether `number` and `length` are still the same. */
struct fanout_cached {
	__u32 number;                       /* the packet's ticket */
	__u32 length;                       /* UDP payload; 0: being written; FANOUT_CACHED_NOTHING, _NOT_KEPT */
	__u8 packet[FANOUT_CACHED_BYTES];
};

/* Map `reception` (array): what RFC 3550 A.1, A.3 and A.8 keep of a source, and the sender reports' send times.
 * Written by the datapath under a bpf_spin_lock that precedes it in the value (struct in maps.h). */
struct fanout_reception {
	__u32 generation;                   /* of the stream that this is about; another one: start afresh */
	__u32 ssrc;
	__u16 max_seq;
	__u16 started;                      /* 0 until the first packet */
	__u32 cycles;                       /* wraps of the sequence number, shifted left by 16 */
	__u32 base_seq;
	__u32 bad_seq;
	__u32 received;                     /* packets from ssrc since base_seq */
	__u32 transit;                      /* of the last packet, RTP timestamp units */
	__u32 jitter;                       /* 16 times the interarrival jitter of A.8 */
	__u32 timestamp;                    /* RTP timestamp of the packet that max_seq names */
	__u32 others;                       /* packets of another SSRC since the last one of this */
	__u32 source_epoch;                 /* of the stream when the source began */
	__u32 sent_ssrc;                    /* what viewers see: this SSRC ... */
	__u32 timestamp_offset;             /* ... timestamp + timestamp_offset ... */
	__u16 seq_offset;                   /* ... and sequence number + seq_offset */
	__u16 pad;
	__u64 arrival_ns;                   /* when the packet that max_seq names came */
	__u64 sr_ns[FANOUT_SR_HISTORY];     /* when a sender report was sent on */
	__u32 sr_ntp[FANOUT_SR_HISTORY];    /* the middle 32 bits of its NTP timestamp */
	__u32 sr_count;                     /* reports seen; the newest is at (sr_count - 1) % FANOUT_SR_HISTORY */
	__u32 pad2;
};

/* Map `devices` (hash, by ifindex): the egress devices that XDP serves. `index` is the control plane's, the rest the
 * datapath's; hints, so without locks. */
struct fanout_device {
	__u32 index;                        /* its device maps are index * FANOUT_XDP_CHUNKS and the next ones */
	__u32 fruitless;                    /* chunks since any of their copies was made */
	__u64 off_until_ns;                 /* TC serves it until then */
	__u64 full_ns;                      /* when it had no room last */
	__u64 copies;                       /* that it took */
	__u64 refused;                      /* that it did not: made again later */
	__u64 untold;                       /* of `copies`, those of which nobody said whether it took them */
};

/* Map `global` (array of one, mmapable). */
struct fanout_global {
	__u64 heartbeat_ns;                 /* control plane: alive at this time */
	__u64 heartbeat_limit_ns;           /* control plane: older than this and nothing is sent; 0: no limit */
	__u32 owner_pid;                    /* control plane */
	__u32 recirculate_ifindex;          /* command program: the sending end of the private veth */
	__u8 template_mac[6];               /* command program: destination that marks a template */
	__u16 cpus;                         /* control plane: templates are received on CPU 0 .. cpus-1, as their hash says; 0: where they
	                                     * were sent. Datapath: 0 once one has been lost */
	__u32 in_flight;                    /* datapath, atomic: tickets OUT, of all streams */
	__u32 agreed;                       /* command program: the ABI version of the handshake that held; 0: none */
	__u32 page_hint;                    /* command program: no free page below this one */
	__u32 xdp_ifindex;                  /* control plane: the sending end of XDP's private veth; 0: all is TC's */
	__u64 pass_ns;                      /* datapath: the last pass of any template */
	__u32 park_hint;                    /* datapath, atomic: where a free entry of `parked` is looked for; wraps */
	__u16 first_port;                   /* command program: no stream has ever listened on a port below this one, host order */
	__u16 last_port;                    /* ... nor above this one; 0: none has listened */
	__u32 passes[FANOUT_ROOMS];         /* datapath, atomic: passes of templates from each queue; wraps */
	__u32 xdp_lanes;                    /* control plane: 1: with XDP, too, a stream of several lanes is served on two CPUs */
	__u32 pad;
	__u64 drops[FANOUT_DROP_MAX];       /* datapath, atomic */
};

#include "fanout_commands.h"

#define FANOUT_ASSERT_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)
FANOUT_ASSERT_SIZE(fanout_listen_key, 20);
FANOUT_ASSERT_SIZE(fanout_listen, 8);
FANOUT_ASSERT_SIZE(fanout_stream, 1376);
FANOUT_ASSERT_SIZE(fanout_viewer, 240);
FANOUT_ASSERT_SIZE(fanout_ticket, 104);
FANOUT_ASSERT_SIZE(fanout_packet_layer, 36);
FANOUT_ASSERT_SIZE(fanout_reception, 176);
FANOUT_ASSERT_SIZE(fanout_parked, 2048);
FANOUT_ASSERT_SIZE(fanout_cached, 1488);
FANOUT_ASSERT_SIZE(fanout_device, 48);
FANOUT_ASSERT_SIZE(fanout_global, 336);
FANOUT_ASSERT_SIZE(fanout_command, 100);

#endif
