/* SPDX-License-Identifier: GPL-2.0-only */
/* What the receiver reports to the source are made of: RFC 3550 A.1 (sequence numbers), A.3 and A.8 (jitter), and the
 * local send times of sender reports, from which a viewer's round trip is computed. */
#ifndef FANOUT_RECEPTION_H
#define FANOUT_RECEPTION_H

#include "packet.h"

#define MAX_DROPOUT 3000      /* A.1: a larger jump forward needs a second packet to be believed */
#define MAX_MISORDER 100
#define SEQ_MOD 65536u
#define OTHERS_TO_SWITCH 8    /* packets of another SSRC, none of ours between, that make it the source */
#define RTCP_SR 200
#define RTCP_SR_LENGTH 28

struct rtp_header {
	__u8 vpxcc, mpt;
	__be16 seq;
	__be32 timestamp;
	__be32 ssrc;
};

static __always_inline void begin(struct fanout_reception *r, __u32 ssrc, __u16 seq)
{
	r->ssrc = ssrc;
	r->started = 1;
	r->base_seq = seq;
	r->max_seq = seq;
	r->bad_seq = SEQ_MOD + 1; /* equals no sequence number */
	r->cycles = 0;
	r->received = 0;
	r->transit = 0;
	r->jitter = 0;
	r->others = 0;
}

/* A.1's update_seq without probation: the address has vetted the source already, and the first packet must count.
 * Returns whether the packet counts as received. */
static __always_inline bool update_seq(struct fanout_reception *r, __u16 seq, __u32 timestamp, __u64 now)
{
	__u16 delta = seq - r->max_seq;

	if (delta < MAX_DROPOUT) {
		if (seq < r->max_seq)
			r->cycles += SEQ_MOD;
		r->max_seq = seq;
		r->timestamp = timestamp;
		r->arrival_ns = now;
	} else if (delta <= SEQ_MOD - MAX_MISORDER) {
		if (seq != r->bad_seq) {
			r->bad_seq = (seq + 1) & (SEQ_MOD - 1);
			return false;
		}
		begin(r, r->ssrc, seq); /* two in a row: the source started afresh without saying so */
		r->timestamp = timestamp;
		r->arrival_ns = now;
	}
	r->received++;
	return true;
}

/* A.8. The first packet only sets the transit time. */
static __always_inline void update_jitter(struct fanout_reception *r, __u32 arrival, __u32 timestamp)
{
	__u32 transit = arrival - timestamp;
	__s32 d = transit - r->transit;

	if (r->received > 1) {
		if (d < 0)
			d = -d;
		r->jitter += d - ((r->jitter + 8) >> 4);
	}
	r->transit = transit;
}

/* Another source has taken the place of the first: its first packet comes right after the last that viewers have seen, and
 * as much later as it came. They go on seeing the same SSRC. */
static __always_inline void continue_from(struct fanout_reception *r, const struct fanout_stream *s, __u16 seq,
					  __u32 timestamp, __u64 now)
{
	__u64 elapsed = (now - r->arrival_ns) / 1000 * s->clock_rate / 1000000;

	r->seq_offset += r->max_seq + 1 - seq;
	r->timestamp_offset += r->timestamp + (__u32)(elapsed ?: 1) - timestamp;
	r->started = 0;
}

static __always_inline void reset(struct fanout_reception *r, const struct fanout_stream *s)
{
	r->generation = s->generation;
	r->source_epoch = s->source_epoch;
	r->started = 0;
	r->sr_count = 0;
	r->sent_ssrc = 0;
	r->seq_offset = 0;
	r->timestamp_offset = 0;
}

/* Under the lock. */
static __always_inline void read_rewriting(const struct fanout_reception *r, struct rewriting *w)
{
	w->from_ssrc = r->ssrc;
	w->ssrc = r->sent_ssrc;
	w->timestamp_offset = r->timestamp_offset;
	w->seq_offset = r->seq_offset;
	w->on = r->started && (r->seq_offset || r->timestamp_offset || r->sent_ssrc != r->ssrc);
}

static __always_inline void receive_one(struct locked_reception *l, const struct fanout_stream *s,
					const struct rtp_header *rtp, struct rewriting *w, __u64 now)
{
	struct fanout_reception *r = &l->reception;
	__u32 ssrc = bpf_ntohl(rtp->ssrc), timestamp = bpf_ntohl(rtp->timestamp);
	__u32 arrival = now / 1000 * s->clock_rate / 1000000;
	__u16 seq = bpf_ntohs(rtp->seq);

	bpf_spin_lock(&l->lock);
	if (r->generation != s->generation)
		reset(r, s);
	if (r->source_epoch != s->source_epoch) {
		if (r->started)
			continue_from(r, s, seq, timestamp, now);
		r->source_epoch = s->source_epoch;
	}
	if (!r->started) {
		begin(r, ssrc, seq);
		r->timestamp = timestamp;
		r->arrival_ns = now;
		if (!r->sent_ssrc)
			r->sent_ssrc = ssrc;
	}
	if (ssrc != r->ssrc) {
		if (++r->others < OTHERS_TO_SWITCH)
			goto unlock;
		if (s->source_epoch)
			continue_from(r, s, seq, timestamp, now);
		else
			r->sent_ssrc = ssrc; /* never rewritten so far: the source's own change is passed on */
		begin(r, ssrc, seq);
	}
	r->others = 0;
	if (update_seq(r, seq, timestamp, now) && s->clock_rate)
		update_jitter(r, arrival, timestamp);
unlock:
	read_rewriting(r, w);
	bpf_spin_unlock(&l->lock);
}

struct segments {
	struct __sk_buff *skb;
	struct locked_reception *l;
	const struct fanout_stream *s;
	struct rewriting *w;
	__u32 at;      /* offset of the first in the frame */
	__u32 segment;
	__u64 now;
};

static long receive_segment(__u32 i, void *context)
{
	struct segments *c = context;
	struct rtp_header rtp;

	if (bpf_skb_load_bytes(c->skb, c->at + i * c->segment, &rtp, sizeof(rtp)))
		return 1;
	receive_one(c->l, c->s, &rtp, c->w, c->now);
	return 0;
}

/* Notes an RTP packet (each datagram of a GSO one) in the stream's reception. */
static __always_inline void receive_rtp(struct __sk_buff *skb, const struct fanout_stream *s,
					struct packet *p, __u64 now)
{
	__u32 stream = p->stream;
	struct segments c = {
		.skb = skb, .s = s, .w = &p->rewriting, .at = p->payload_at, .segment = p->segment, .now = now,
	};

	c.l = bpf_map_lookup_elem(&reception, &stream);
	if (!c.l)
		return;
	if (p->segments == 1)
		receive_segment(0, &c);
	else
		bpf_loop(p->segments < FANOUT_DATAGRAM_SEGMENTS ? p->segments : FANOUT_DATAGRAM_SEGMENTS,
			 receive_segment, &c, 0);
}

/* Notes when a sender report went on to the viewers; other RTCP has no time in it. False: it is one of another source, before
 * that one's first packet. What its time is to viewers is not known yet, and by the former's offsets it would be wrong.
 * A function of its own, for the verifier. */
static __noinline bool receive_rtcp(struct __sk_buff *skb, const struct fanout_stream *s, struct packet *p, __u64 now)
{
	__u32 stream = p->stream, ntp = 0;
	__be32 high, low;
	struct locked_reception *l;
	struct fanout_reception *r;
	bool is_sr, known;
	__u8 type;

	is_sr = p->payload >= RTCP_SR_LENGTH && !bpf_skb_load_bytes(skb, p->payload_at + 1, &type, 1) &&
		type == RTCP_SR && !bpf_skb_load_bytes(skb, p->payload_at + 8, &high, 4) &&
		!bpf_skb_load_bytes(skb, p->payload_at + 12, &low, 4);
	l = bpf_map_lookup_elem(&reception, &stream);
	if (!l)
		return true;
	if (is_sr)
		ntp = bpf_ntohl(high) << 16 | bpf_ntohl(low) >> 16;
	r = &l->reception;
	bpf_spin_lock(&l->lock);
	if (r->generation != s->generation)
		reset(r, s);
	known = !is_sr || !r->started || r->source_epoch == s->source_epoch;
	if (is_sr && known) {
		r->sr_ns[r->sr_count % FANOUT_SR_HISTORY] = now;
		r->sr_ntp[r->sr_count % FANOUT_SR_HISTORY] = ntp;
		r->sr_count++;
	}
	read_rewriting(r, &p->rewriting);
	bpf_spin_unlock(&l->lock);
	return known;
}

#endif
