/* SPDX-License-Identifier: GPL-2.0-only */
/* AV1's dependency descriptor, an RTP header extension (AOM's RTP payload format, appendix A; RFC 8285): which template a packet
 * is of, and what the templates are. Templates have a spatial and a temporal id, and indications of what each decode target
 * takes a frame for; all of these are symbols of two bits, byte by byte behind the structure's fixed part. What follows them
 * (frame differences, chains, resolutions) is not read. The same in TypeScript: src/control/rtp/dependency-descriptor.ts. */
#ifndef FANOUT_DESCRIPTOR_H
#define FANOUT_DESCRIPTOR_H

#include "picture.h"

#define ONE_BYTE_EXTENSIONS 0xbede /* RFC 8285 4.2 */
#define TWO_BYTE_EXTENSIONS 0x1000 /* 4.3; the last four bits are free */
#define MOST_ELEMENTS 64	   /* and bytes of padding between them, that are looked at */
#define DESCRIPTOR_LEAST 3	   /* mandatory_descriptor_fields */
#define STRUCTURE_SYMBOLS 5	   /* where template_layers begins */
#define SAME_LAYER 0		   /* next_layer_idc */
#define NEXT_TEMPORAL 1
#define NEXT_SPATIAL 2
#define NO_MORE_LAYERS 3
#define DTI_SWITCH 2
#define MOST_TARGETS 32

/* What the packet that has just come has. `with` is by layer, and counts those above, too. */
struct descriptor {
	__u8 present;
	__u8 start;      /* the packet begins a frame */
	__u8 template;   /* frame_dependency_template_id */
	__u8 custom;     /* the frame has indications of its own, which are not read */
	__u8 structured; /* it has a structure; unless it could not be read, of: */
	__u8 offset;
	__u8 count;
	__u8 several;	 /* more than one spatial layer: these are what counts */
	__u8 templates[TEMPLATES] __attribute__((aligned(8))); /* TEMPLATE_SPATIAL ... */
	__u32 switching[TEMPLATES];     /* the targets that each lets begin */
	__u32 with[FANOUT_LAYERS + 1];  /* the targets that frames of a layer, or a higher one, belong to */
	__u32 symbols;  /* of the structure, that have been read */
	__u8 spatial;   /* of the next template */
	__u8 temporal;
	__u8 target;    /* of the next indication ... */
	__u8 reached;   /* ... and its template */
	__u32 targets;
	__u32 size;
	__u8 bytes[256];
};

/* Too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct descriptor);
} descriptors SEC(".maps");

/* ---- the extension ------------------------------------------------------------------------------------------ */

struct element_search {
	struct __sk_buff *skb;
	__u32 at;
	__u32 end;
	__u32 id;
	__u32 size; /* of the element that was found, not 0; then it is at `at` */
	bool two_byte;
};

static long try_element(__u32 i, void *context)
{
	struct element_search *c = context;
	__u32 id, size, header = 1 + c->two_byte;
	__u8 b[2] = {};

	if (c->at >= c->end || bpf_skb_load_bytes(c->skb, c->at, b, 1))
		return 1;
	if (!b[0]) {
		c->at++;
		return 0;
	}
	if (c->two_byte && bpf_skb_load_bytes(c->skb, c->at + 1, b + 1, 1))
		return 1;
	id = c->two_byte ? b[0] : b[0] >> 4;
	size = c->two_byte ? b[1] : (b[0] & 15) + 1;
	if (c->at + header + size > c->end || (!c->two_byte && (id == 0 || id == 15)))
		return 1;
	c->at += header;
	if (id == c->id) {
		c->size = size;
		return 1;
	}
	c->at += size;
	return 0;
}

/* The first element of that id; `size` stays 0 when there is none. */
static __always_inline void find_element(struct element_search *c, const struct packet *p)
{
	__be16 b[2];
	__u16 profile;
	__u8 first;

	if (bpf_skb_load_bytes(c->skb, p->payload_at, &first, 1) || !(first & 0x10))
		return;
	c->at = p->payload_at + RTP_HEADER + (first & 0x0f) * 4;
	if (bpf_skb_load_bytes(c->skb, c->at, b, sizeof(b)))
		return;
	profile = bpf_ntohs(b[0]);
	c->two_byte = (profile & 0xfff0) == TWO_BYTE_EXTENSIONS;
	if (!c->two_byte && profile != ONE_BYTE_EXTENSIONS)
		return;
	c->at += 4;
	c->end = c->at + bpf_ntohs(b[1]) * 4;
	bpf_loop(MOST_ELEMENTS, try_element, c, 0);
}

/* ---- the structure ------------------------------------------------------------------------------------------ */

/* What bpf_loop hands on is on the stack; what changes is not: the verifier would walk each turn of its own. */
struct structure_reading {
	struct descriptor *d;
};

/* The next two bits. False: the element ends before. */
static __always_inline bool next_symbol(struct descriptor *d, __u32 *symbol)
{
	__u32 at = STRUCTURE_SYMBOLS + d->symbols / 4;

	if (at >= d->size)
		return false;
	*symbol = d->bytes[at % sizeof(d->bytes)] >> (6 - d->symbols % 4 * 2) & 3;
	d->symbols++;
	return true;
}

static __always_inline __u32 layer_of_template(const struct descriptor *d, __u32 template)
{
	__u8 t = d->templates[template % TEMPLATES];

	return d->several ? t & TEMPLATE_SPATIAL : t >> TEMPLATE_TEMPORAL_SHIFT & TEMPLATE_TEMPORAL;
}

static long read_template_layer(__u32 i, void *context)
{
	struct descriptor *d = ((struct structure_reading *)context)->d;
	__u32 next;

	if (!next_symbol(d, &next))
		return 1;
	d->templates[i % TEMPLATES] = d->temporal << TEMPLATE_TEMPORAL_SHIFT | d->spatial;
	if (next == NO_MORE_LAYERS) {
		d->count = i + 1;
		return 1;
	}
	if (next == NEXT_TEMPORAL)
		d->temporal++;
	if (next == NEXT_SPATIAL) {
		d->temporal = 0;
		d->several = 1;
		d->spatial++;
	}
	return d->temporal > TEMPLATE_TEMPORAL || d->spatial > TEMPLATE_SPATIAL;
}

static long read_indication(__u32 i, void *context)
{
	struct descriptor *d = ((struct structure_reading *)context)->d;
	__u32 indication, target = 1u << (d->target % MOST_TARGETS);

	if (!next_symbol(d, &indication))
		return 1;
	if (indication)
		d->with[layer_of_template(d, d->reached)] |= target;
	if (indication == DTI_SWITCH)
		d->switching[d->reached % TEMPLATES] |= target;
	if (++d->target < d->targets)
		return 0;
	d->target = 0;
	return ++d->reached >= d->count;
}

/* Who has a frame's layer may get more from it on where all targets with more say so, and there are some. */
static long find_switch(__u32 i, void *context)
{
	struct descriptor *d = ((struct structure_reading *)context)->d;
	__u32 more = d->with[layer_of_template(d, i) + 1];

	if (more && (d->switching[i % TEMPLATES] & more) == more)
		d->templates[i % TEMPLATES] |= TEMPLATE_SWITCH;
	return 0;
}

/* `count` stays 0 where it could not be read. */
static __always_inline void read_structure(struct descriptor *d)
{
	struct structure_reading c = { .d = d };

	d->offset = (d->bytes[3] & 7) << 3 | d->bytes[4] >> 5;
	d->targets = (d->bytes[4] & 31) + 1;
	d->count = d->several = d->symbols = d->spatial = d->temporal = d->target = d->reached = 0;
	__builtin_memset(d->switching, 0, sizeof(d->switching));
	__builtin_memset(d->with, 0, sizeof(d->with));
	bpf_loop(TEMPLATES, read_template_layer, &c, 0);
	bpf_loop(TEMPLATES * MOST_TARGETS, read_indication, &c, 0);
	if (d->reached != d->count) {
		d->count = 0;
		return;
	}
	for (int layer = FANOUT_TOP_LAYER; layer >= 0; layer--)
		d->with[layer] |= d->with[layer + 1];
	bpf_loop(d->count, find_switch, &c, 0);
}

/* ---- the descriptor ----------------------------------------------------------------------------------------- */

static __always_inline struct descriptor *the_descriptor(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&descriptors, &zero);
}

/* the_descriptor() has it until the next packet comes on this CPU. A global function, so that the verifier looks at it once. */
__noinline int read_descriptor(struct __sk_buff *skb, const struct fanout_stream *s, const struct packet *p)
{
	struct element_search c = { .skb = skb };
	struct descriptor *d = the_descriptor();
	__u32 size;
	__u8 type;

	if (!s || !p || !d)
		return 0; /* for the verifier */
	d->present = d->custom = d->structured = 0;
	if (p->segments > 1 || bpf_skb_load_bytes(skb, p->payload_at + 1, &type, 1) || (type & 0x7f) != s->payload_type)
		return 0;
	c.id = s->descriptor;
	find_element(&c, p);
	size = c.size; /* of one byte */
	asm volatile("%0 &= 255" : "+r"(size)); /* 6.1 loses a limit that is compared with */
	if (size < DESCRIPTOR_LEAST || bpf_skb_load_bytes(skb, c.at, d->bytes, size))
		return 0;
	d->size = size;
	d->present = 1;
	d->start = d->bytes[0] >> 7;
	d->template = d->bytes[0] & 63;
	if (size == DESCRIPTOR_LEAST)
		return 0;
	d->custom = d->bytes[3] >> 5 & 1;
	d->structured = d->bytes[3] >> 7;
	if (d->structured)
		read_structure(d);
	return 0;
}

#endif
