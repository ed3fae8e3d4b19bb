/* SPDX-License-Identifier: GPL-2.0-only */
/* A packet's layer, and its place in the numbering of viewers that do not get all layers. Found once per packet, as it comes.
 *
 * Sequence numbers are closed up per level: who gets layers up to L sees a packet with its sequence number less above[L], the
 * number of packets of higher layers that came before it. Only what came in order is counted, so whatever is lost, of whatever
 * layer, leaves its gap; and what comes late is given the numbers of the gap that it has left.
 *
 *     seq      10   11   (12)   13   12 comes late   14
 *     layer     0    1           1    0               0
 *     above[0]  0    0           1    1               2      as it was before 13 came: 12 had left a gap
 *     sent     10               -    11              12
 *
 * The last packet of a picture, with the marker, is never left out but replaced where the codec has something to replace it
 * (picture_end.h) and any of the picture was sent: it keeps its number. docs/adr/0021 has the reasons. */
#ifndef FANOUT_LAYERING_H
#define FANOUT_LAYERING_H

#include "descriptor.h"
#include "layer.h"
#include "reception.h"
#include "thin.h"

#define EXTENDED_MASK 0xffff0000

/* The packet that has just come. */
struct placing {
	struct fanout_packet_layer to;
	struct told told;
	__u32 timestamp;
	__u16 seq;
	bool marked;
	bool foreign;
	bool described; /* the_descriptor() is its own */
	__u32 ssrc; /* as viewers see it */
	__u32 segments;
	__u32 extended; /* out: of one that is late */
};

/* Too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct placing);
} placings SEC(".maps");

/* ---- which layer -------------------------------------------------------------------------------------------- */

static __always_inline bool is_rest_of(const struct locked_layering *l, const struct placing *c)
{
	return l->open && l->open_seq == c->seq && l->open_timestamp == c->timestamp;
}

/* The packet's ids, with those of the unit that it goes on with; and what the next may go on with. */
static __always_inline bool resolve(struct locked_layering *l, const struct placing *c, __u8 *spatial, __u8 *temporal)
{
	const struct told *t = &c->told;
	bool rest = t->rest && is_rest_of(l, c), known = !t->rest || rest;

	*spatial = t->spatial;
	*temporal = t->temporal;
	if (rest) {
		lowest(spatial, l->open_spatial);
		lowest(temporal, l->open_temporal);
	}
	if (t->open && (t->open_spatial != NO_ID || rest)) {
		if (t->open_spatial != NO_ID) {
			l->open_spatial = t->open_spatial;
			l->open_temporal = t->open_temporal;
		}
		l->open = 1;
		l->open_seq = c->seq + 1;
		l->open_timestamp = c->timestamp;
	} else if (rest || t->open) {
		l->open = 0;
	}
	return known && *spatial != NO_ID;
}

/* Without branches, for the verifier. */
static __always_inline void set_enters(struct fanout_packet_layer *to, __u32 enters)
{
	__u32 layer = to->layer;

	to->enter_from = layer * (enters & 1) + (layer + 1) * (enters >> 1 & 1);
	to->enter_to = layer * (enters >> 2 & 1) + FANOUT_TOP_LAYER * (enters >> 3 & 1);
}

/* RFC 7798: who begins to get a layer at a CRA picture misses what its leading pictures refer to, but no trailing picture
 * does. So it begins with the first of those. */
static __always_inline __u8 enters_h265(struct locked_layering *l, const struct placing *c)
{
	if (c->told.leading == CRA_BEGINS) {
		l->cra = 1;
		l->cra_timestamp = c->timestamp;
	} else if (c->told.leading == CRA_TRAILS && l->cra && l->cra_timestamp != c->timestamp) {
		l->cra = 0;
		return ENTERS_ALL;
	}
	return c->told.enters;
}

/* Under the lock. A structure that comes late has been followed by another one. */
static __always_inline void learn_templates(struct locked_layering *l, const struct placing *c, const struct descriptor *d)
{
	__u16 behind = (__u16)l->highest - c->seq;

	if (!d->structured || (l->placed && l->ssrc == c->ssrc && (__u16)(behind - 1) < LATE_AT_MOST))
		return;
	l->template_offset = d->offset;
	l->template_count = d->count;
	l->several = d->several;
	__builtin_memcpy(l->templates, d->templates, sizeof(l->templates));
}

/* Under the lock. What the descriptor tells counts, not what the payload tells; of a template that is not known it tells nothing. */
static __always_inline void apply_descriptor(const struct locked_layering *l, struct told *t, const struct descriptor *d)
{
	__u32 index = (d->template - l->template_offset) & (TEMPLATES - 1);
	__u8 template;

	if (index >= l->template_count)
		return;
	template = l->templates[index];
	t->notion = FANOUT_NOTION_TEMPORAL + (l->several & 1);
	t->spatial = template & TEMPLATE_SPATIAL;
	t->temporal = template >> TEMPLATE_TEMPORAL_SHIFT & TEMPLATE_TEMPORAL;
	t->rest = t->open = 0;
	if (!d->start)
		return;
	if (d->structured)
		t->enters = t->enters_spatial = ENTERS_ALL;
	else if (t->enters == ENTERS_NONE && template & TEMPLATE_SWITCH && !d->custom)
		t->enters = t->enters_spatial = ENTERS_ABOVE;
}

/* Under the lock. */
static __always_inline void find_layer(struct locked_layering *l, struct placing *c)
{
	__u8 spatial, temporal, enters;
	__u32 notion = c->told.notion;
	bool known = resolve(l, c, &spatial, &temporal);

	if (notion == FANOUT_NOTION_NONE && c->told.rest)
		notion = l->notion;
	if (notion == FANOUT_NOTION_TEMPORAL && l->notion == FANOUT_NOTION_SPATIAL)
		notion = FANOUT_NOTION_SPATIAL; /* once there are spatial layers, they are what counts */
	if (notion != FANOUT_NOTION_NONE)
		l->notion = notion;
	if (!known || notion == FANOUT_NOTION_NONE)
		return;
	c->to.layer = (notion == FANOUT_NOTION_TEMPORAL ? temporal : spatial) & FANOUT_TOP_LAYER;
	enters = notion == FANOUT_NOTION_TEMPORAL ? enters_h265(l, c) : c->told.enters_spatial;
	set_enters(&c->to, enters);
	if (notion == FANOUT_NOTION_SPATIAL && c->told.layer_ends)
		c->to.flags |= FANOUT_LAYER_TOP_ENDS;
}

/* ---- which number ------------------------------------------------------------------------------------------- */

static __always_inline void copy_above(__u16 to[FANOUT_LAYERS], const __u16 from[FANOUT_LAYERS])
{
	__builtin_memcpy(to, from, sizeof(__u16) * FANOUT_LAYERS);
}

static __always_inline void note_picture(struct locked_layering *l, struct placing *c)
{
	if (!l->placed || l->picture != c->timestamp) {
		c->to.flags |= FANOUT_LAYER_OPENS;
		l->picture = c->timestamp;
		l->lowest = c->to.layer;
	} else if (c->to.layer < l->lowest) {
		l->lowest = c->to.layer;
	}
}

/* One packet more that levels below `below` do not get. Without branches, for the verifier. */
static __always_inline void count_above(struct locked_layering *l, __u32 below)
{
	asm volatile("" : "+r"(below));
	for (__u32 level = 0; level < FANOUT_TOP_LAYER; level++)
		l->above[level] += (level - below) >> 31;
}

/* In order: those after it are counted on from it. `ends`: something takes its place where it is left out. */
static __always_inline void place_next(struct locked_layering *l, struct placing *c, bool ends)
{
	struct numbered *n = &l->recent[l->highest % LAYERING_RECENT];
	__u32 below = c->to.layer;

	note_picture(l, c);
	l->placed = 1;
	n->extended = l->highest;
	copy_above(n->above, l->above);
	c->to.lowest = l->lowest;
	if (ends && c->marked && c->to.layer > l->lowest) {
		c->to.flags |= FANOUT_LAYER_ENDED;
		below = l->lowest;
	}
	count_above(l, below);
	l->highest += c->segments - 1;
}

static __always_inline void begin_numbering(struct locked_layering *l, const struct placing *c)
{
	l->highest = ((l->highest + 0x20000) & EXTENDED_MASK) | c->seq;
}

/* As RFC 3550 A.1 (reception.h): a jump needs a second packet to be believed. Under the lock. */
static __always_inline void place(struct locked_layering *l, struct placing *c, bool ends)
{
	__u16 ahead = c->seq - (__u16)l->highest, behind = -ahead;

	copy_above(c->to.above, l->above);
	if (l->ssrc != c->ssrc || !l->placed) {
		if (l->placed)
			l->epoch++; /* another numbering; viewers see that */
		l->ssrc = c->ssrc;
		begin_numbering(l, c);
	} else if (ahead && ahead < MAX_DROPOUT) {
		l->highest += ahead;
	} else if (behind <= LATE_AT_MOST) {
		c->to.flags |= FANOUT_LAYER_LATE;
		c->extended = l->highest - behind;
	} else if (c->seq == l->bad_seq) {
		begin_numbering(l, c);
	} else {
		c->to.flags |= FANOUT_LAYER_STRAY;
		l->bad_seq = c->seq + 1;
	}
	c->to.epoch = l->epoch;
	if (!(c->to.flags & (FANOUT_LAYER_LATE | FANOUT_LAYER_STRAY)))
		place_next(l, c, ends);
}

struct late {
	struct locked_layering *l;
	struct placing *c;
};

/* The nearest that came in order, from the late one's own number on, has the numbers that were given then. Without the lock: a
 * number that is overwritten meanwhile is not its own any more. */
static long place_late(__u32 i, void *context)
{
	struct late *late = context;
	__u32 extended = late->c->extended + i;
	struct numbered *n = &late->l->recent[extended % LAYERING_RECENT];

	if (*(volatile __u32 *)&n->extended != extended)
		return 0;
	copy_above(late->c->to.above, n->above);
	return 1;
}

/* ---- as a packet comes -------------------------------------------------------------------------------------- */

/* GSO packets are of the base: they go to all as one. Returns how much of the packet a sender report counts. */
static __always_inline __u32 tell_packet(struct __sk_buff *skb, const struct fanout_stream *s, const struct packet *p,
					 __u8 type, struct told *t)
{
	__u32 header = rtp_header_length(skb, p), end = end_of_payload(skb, p, header);

	if (!header || !end)
		return 0;
	if (p->segments > 1 || (type & 0x7f) != s->payload_type || !tell(skb, s, p->payload_at + header, end, t))
		__builtin_memset(t, 0, sizeof(*t));
	return end - p->payload_at - header * p->segments;
}

/* What can replace the last packet of a picture: picture_end.h. */
static __always_inline bool can_end(const struct fanout_stream *s, const struct told *t)
{
	return (s->codec == FANOUT_CODEC_H264 && !t->interleaved) || s->codec == FANOUT_CODEC_AV1;
}

/* A compound that begins with a sender report: its counts are to be those of what each viewer is sent. */
static __always_inline void note_report(struct __sk_buff *skb, const struct packet *in, __u32 counting,
					struct fanout_packet_layer *l)
{
	__be32 counts[2];
	__u8 type;

	if (in->payload < RTCP_SR_LENGTH || bpf_skb_load_bytes(skb, in->payload_at + 1, &type, 1) || type != RTCP_SR ||
	    bpf_skb_load_bytes(skb, in->payload_at + SR_COUNTS, counts, sizeof(counts)))
		return;
	l->report_packets = bpf_ntohl(counts[0]);
	l->report_octets = bpf_ntohl(counts[1]);
	l->counting = counting;
	l->flags = FANOUT_LAYER_REPORT;
}

/* One that stands in for it comes next (picture_end.h). */
static __always_inline bool has_end(const struct fanout_packet_layer *l)
{
	return l->flags & FANOUT_LAYER_COUNTS && l->flags & FANOUT_LAYER_ENDED;
}

static __always_inline struct placing *the_placing(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&placings, &zero);
}

static __always_inline void read_header(struct placing *c, const struct packet *p, const struct rtp_header *rtp)
{
	const struct rewriting *w = &p->rewriting;
	bool rewritten;

	c->marked = rtp->mpt & 0x80;
	c->segments = p->segments;
	c->ssrc = w->ssrc;
	c->foreign = bpf_ntohl(rtp->ssrc) != w->from_ssrc;
	rewritten = w->on && !c->foreign;
	c->seq = bpf_ntohs(rtp->seq) + (rewritten ? w->seq_offset : 0);
	c->timestamp = bpf_ntohl(rtp->timestamp) + (rewritten ? w->timestamp_offset : 0);
	c->to.seq = c->seq;
	c->to.timestamp = c->timestamp;
	c->to.bytes = p->payload;
	c->to.flags = (c->marked ? FANOUT_LAYER_MARKED : 0) | (c->foreign ? FANOUT_LAYER_FOREIGN : 0);
}

/* The stream's part. Returns its notion. */
static __always_inline __u32 place_in_stream(struct locked_layering *l, const struct fanout_stream *s, struct placing *c,
					     const struct descriptor *d)
{
	bool ends = can_end(s, &c->told);
	__u32 notion;

	bpf_spin_lock(&l->lock);
	if (l->generation != s->generation)
		l->placed = 0;
	if (l->generation != s->generation || l->source_epoch != s->source_epoch)
		l->open = l->cra = l->notion = l->template_count = 0;
	l->generation = s->generation;
	l->source_epoch = s->source_epoch;
	if (l->ssrc != c->ssrc)
		l->template_count = 0;
	if (c->described) {
		learn_templates(l, c, d);
		apply_descriptor(l, &c->told, d);
	}
	find_layer(l, c);
	notion = l->notion;
	place(l, c, ends);
	c->to.counting = (__u16)(s->source_epoch << 8 | l->epoch);
	bpf_spin_unlock(&l->lock);
	return notion;
}

/* Finds an RTP packet's layer: the_placing() has it until the next packet comes on this CPU. A global function, so that the verifier looks
 * at it once. */
__noinline int find_packet_layer(struct __sk_buff *skb, const struct packet *p)
{
	struct placing *c = the_placing();
	struct descriptor *d = the_descriptor();
	struct late late = { .c = c };
	struct fanout_stream *s;
	struct rtp_header rtp;
	__u32 stream, notion;

	if (!p || !c || !d)
		return 0; /* for the verifier */
	stream = p->stream;
	s = stream_at(stream);
	late.l = bpf_map_lookup_elem(&layerings, &stream);
	if (!s || !late.l || bpf_skb_load_bytes(skb, p->payload_at, &rtp, sizeof(rtp)))
		return 0;
	__builtin_memset(c, 0, sizeof(*c));
	c->to.octets = tell_packet(skb, s, p, rtp.mpt, &c->told);
	c->described = s->descriptor && c->to.octets && d->present;
	read_header(c, p, &rtp);
	c->to.counting = s->counting;
	if (!c->foreign) {
		notion = place_in_stream(late.l, s, c, d);
		if (c->to.counting != s->counting)
			s->counting = c->to.counting;
		if (notion != s->notion)
			s->notion = notion;
		if (c->to.flags & FANOUT_LAYER_LATE)
			bpf_loop(LATE_AT_MOST + 1, place_late, &late, 0);
	}
	if (s->thinned)
		c->to.flags |= FANOUT_LAYER_COUNTS;
	return 0;
}

#endif
