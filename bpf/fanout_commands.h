/* SPDX-License-Identifier: GPL-2.0-only */
/* What the control plane tells the kernel programs; part of fanout_abi.h, whose rules hold here. */
#ifndef FANOUT_COMMANDS_H
#define FANOUT_COMMANDS_H

enum fanout_op {
	FANOUT_OP_HELLO = 1,                /* ABI handshake; before anything else */
	FANOUT_OP_OPEN = 2,                 /* a stream begins */
	FANOUT_OP_CLOSE = 3,                /* a stream ends; its viewers are removed */
	FANOUT_OP_ADD = 4,                  /* a viewer begins to get copies */
	FANOUT_OP_DELETE = 5,               /* ... no copy is made after this has returned */
	FANOUT_OP_FLUSH = 6,                /* everything goes */
	FANOUT_OP_LOSS = 7,                 /* what a viewer's receiver report said */
	FANOUT_OP_NEXT_HOP = 8,             /* a viewer's route or neighbour changed */
	FANOUT_OP_PASS_UP = 9,              /* sets a stream's `pass_up` */
	FANOUT_OP_JOINING = 10,             /* sets a stream's `joining` */
	FANOUT_OP_RETARGET = 11,            /* another source takes the place of a stream's; viewers stay and notice nothing */
	FANOUT_OP_ALLOW = 12,               /* sets a viewer's `allowance` to `value`, 0 to FANOUT_TOP_LAYER */
};

struct fanout_hello {
	__u32 abi_version;
	__u32 command_size;
	__u32 stream_size;
	__u32 viewer_size;
	__u32 ticket_size;
	__u32 reception_size;
	__u32 global_size;
	__u32 recirculate_ifindex;
	__u8 template_mac[6];
	__u16 pad;
};

struct fanout_next_hop {
	__u32 ifindex;
	__u32 mtu;
	__u8 source_mac[6];
	__u8 mac[6];
};

struct fanout_open {
	__u8 source[16];
	__u8 local[16];
	__be16 source_port[FANOUT_KINDS];
	__be16 local_port[FANOUT_KINDS];
	__u32 clock_rate;
	__u32 codec;
	__u32 payload_type;
	__u32 descriptor;
	__u32 cache_first;
	__u32 cache_size;
	__u32 begin_within_ms;              /* of retarget: drop what comes before a picture begins, at most this long */
};

struct fanout_add {
	__u32 id;
	__u32 hold_ms;                      /* not 0: hold back until a picture begins, at most this long */
	__u8 exact;                         /* not 0: EAGAIN unless the viewer gets every packet from ticket `from` on */
	__u8 ttl;                           /* of a multicast group's copies; 0: FANOUT_TTL */
	__u8 verbatim;                      /* not 0: when it is thinned, sequence numbers and markers stay as they came */
	__u8 pad;
	__u32 from;
	__u8 source[16];
	__u8 address[16];
	__be16 source_port[FANOUT_KINDS];
	__be16 port[FANOUT_KINDS];
	struct fanout_next_hop hop;
};

struct fanout_loss {
	__u32 fraction;
	__s32 cumulative;
	__u32 jitter;
};

/* The context of the command program: filled by the control plane, answered in place.
 * `result` is 0 or a negative errno: EPROTO handshake missing or different, EINVAL argument out of range, ENOENT no
 * such stream or viewer (or `id` is not the one in that slot), EEXIST address and port taken, ENOSPC table full,
 * EBUSY the slot stayed locked (try again), EAGAIN packets have come since `from`. */
struct fanout_command {
	__u32 op;                           /* enum fanout_op */
	__s32 result;
	__u32 stream;                       /* in: CLOSE, ADD, PASS_UP, JOINING, RETARGET; out: OPEN */
	__u32 slot;                         /* out: ADD; in: DELETE, LOSS, NEXT_HOP, ALLOW: index into `viewers` */
	__u32 id;                           /* in: DELETE, LOSS, NEXT_HOP, ALLOW: must be the viewer's id */
	__u32 value;                        /* in: PASS_UP, JOINING, ALLOW */
	union {
		struct fanout_hello hello;
		struct fanout_open open;
		struct fanout_add add;
		struct fanout_loss loss;
		struct fanout_next_hop hop;
	};
};

#endif
