// SPDX-License-Identifier: GPL-2.0-only
/* The RTP story, for TC: a packet comes in, its stream is found, each viewer gets a copy.
 *
 *   tc_ingress   on devices where sources' packets arrive
 *   tc_again     on the receiving end of the private veth, where packets wait for their next pass
 *   tc_send      run by user space for one frame of the picture cache to one viewer
 *
 * Verdicts: TC_ACT_UNSPEC leaves the packet to whoever comes next (other filters, then the IP stack), exactly as it came;
 * TC_ACT_SHOT ends it, because its copies have been made or because drop() has counted why not. */
#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "cache.h"
#include "clone.h"
#include "continuity.h"
#include "maps.h"
#include "packet.h"
#include "picture.h"
#include "reception.h"
#include "template.h"
#include "ticket.h"
#include "unchecked.h"

char LICENSE[] SEC("license") = "GPL";

/* ---- a pass ------------------------------------------------------------------------------------------------- */

static long serve_next(__u32 i, void *context)
{
	struct pass *p = context;
	__u32 position = p->start + p->offset;
	struct fanout_viewer *v;
	__s32 slot;

	if (position >= p->span)
		position -= p->span;
	slot = slot_of(p->s, position);
	v = slot < 0 ? NULL : bpf_map_lookup_elem(&viewers, &slot);
	p->last = v ? serve(v, p) : SERVED;
	if (p->last == WAIT || p->last == FULL)
		return 1;
	if (p->last == SERVED_FIRST)
		p->s->rotation = position + 1; /* the next packet begins with the next viewer */
	p->offset++;
	return p->copies >= FANOUT_PASS_COPIES;
}

/* Serves as many viewers as it may. True when none is left. */
static __always_inline bool serve_some(struct pass *p)
{
	__u32 before = p->copies;

	if (p->t->start == FANOUT_NO_START)
		p->t->start = p->s->rotation < p->t->span ? p->s->rotation : 0;
	p->start = p->t->start;
	p->span = p->t->span;
	p->offset = p->t->offset;
	p->kind = p->t->kind;
	COUNT(p->s->passes, 1);
	if (p->offset < p->span)
		bpf_loop(p->span - p->offset, serve_next, p, 0);
	if (p->last == WAIT && p->copies == before)
		COUNT(p->s->waits, 1);
	p->t->offset = p->offset;
	return p->offset >= p->span;
}

/* One pass, after which the packet's ticket has ended or its template is under way to the next pass. */
static __always_inline void pass(struct pass *p, struct fanout_global *g)
{
	__u64 departure;

	if (serve_some(p)) {
		end_ticket(p->s, p->stream, p->t, FANOUT_TICKET_DONE);
		return;
	}
	reap(p->s, p->stream, g, p->now);
	departure = p->last == FULL || p->last == WAIT ? p->now + FANOUT_RETRY_NS : 0;
	if (!send_round(p->skb, g, p->stream, p->number, departure) &&
	    end_ticket(p->s, p->stream, p->t, FANOUT_TICKET_DEAD))
		count_drop(FANOUT_DROP_TEMPLATE_DIED);
}

/* ---- arrival ------------------------------------------------------------------------------------------------ */

/* The packet must also reach the socket that holds the port, unchanged: its template goes round at once and all copies
 * are made from that. */
static __always_inline void queue_and_restore(struct pass *p, struct fanout_global *g)
{
	__u8 addresses[2 * ETH_ALEN];

	bpf_skb_load_bytes(p->skb, 0, addresses, sizeof(addresses));
	if (!send_round(p->skb, g, p->stream, p->number, 0) &&
	    end_ticket(p->s, p->stream, p->t, FANOUT_TICKET_DEAD))
		count_drop(FANOUT_DROP_TEMPLATE_DIED);
	bpf_skb_store_bytes(p->skb, 0, addresses, sizeof(addresses), 0);
}

static __always_inline int fan_out(struct __sk_buff *skb, struct fanout_stream *s, const struct packet *in,
				   struct fanout_global *g, __u64 now)
{
	bool up = in->kind == FANOUT_RTCP || s->pass_up;
	struct pass p = {
		.skb = skb, .s = s, .now = now, .stream = in->stream,
		.payload = in->payload, .segments = in->segments, .segment = in->segment,
	};

	if (!s->viewers && !s->joining) {
		forget(s);
		if (up)
			return TC_ACT_UNSPEC;
		return drop(FANOUT_DROP_NO_VIEWER);
	}
	if (g->heartbeat_limit_ns && now - g->heartbeat_ns > g->heartbeat_limit_ns)
		return drop(FANOUT_DROP_STALE);
	reap(s, in->stream, g, now);
	p.t = take_ticket(s, in, g, waiting_room(skb, g) == g->xdp_ifindex, now);
	if (!p.t) {
		COUNT(s->refused, 1);
		count_drop(FANOUT_DROP_NO_TICKET);
		return up ? TC_ACT_UNSPEC : TC_ACT_SHOT;
	}
	p.number = p.t->number;
	keep(skb, s, in, p.number);
	if (up) {
		queue_and_restore(&p, g);
		return TC_ACT_UNSPEC;
	}
	if (*(volatile __u32 *)&s->head == p.number && waiting_room(skb, g) != g->xdp_ifindex)
		pass(&p, g);
	else if (!send_round(skb, g, p.stream, p.number, 0) && end_ticket(s, p.stream, p.t, FANOUT_TICKET_DEAD))
		count_drop(FANOUT_DROP_TEMPLATE_DIED);
	return TC_ACT_SHOT;
}

SEC("tc")
int tc_ingress(struct __sk_buff *skb)
{
	struct fanout_global *g = the_global();
	struct fanout_stream *s;
	struct packet p = {};
	__u64 now;

	if (!g || !is_ours(skb, &p))
		return TC_ACT_UNSPEC;
	s = stream_at(p.stream);
	if (!s || s->state != FANOUT_STREAM_OPEN)
		return TC_ACT_UNSPEC;
	p.generation = *(volatile __u32 *)&s->generation;
	if (!is_from_source(s, &p)) /* who else sends to a group does not send to us */
		return is_to_group(s) ? TC_ACT_UNSPEC : drop(FANOUT_DROP_NOT_SOURCE);
	if (p.fault)
		return drop(p.fault);
	if (!is_rtp_or_rtcp(skb, &p))
		return drop(FANOUT_DROP_MALFORMED);
	now = bpf_ktime_get_ns();
	if (p.kind == FANOUT_RTCP) {
		COUNT(s->rtcp_packets, 1);
		receive_rtcp(skb, s, &p, now);
	} else {
		COUNT(s->packets, p.segments);
		COUNT(s->bytes, p.payload);
		receive_rtp(skb, s, &p, now);
		p.begins = s->codec && begins_picture(skb, s, &p);
	}
	rewrite_stream(skb, &p);
	if (p.unchecked)
		give_checksum(skb, p.payload_at - sizeof(struct udphdr), p.payload + sizeof(struct udphdr));
	return fan_out(skb, s, &p, g, now);
}

/* ---- coming round ------------------------------------------------------------------------------------------- */

static __always_inline __u32 payload_of(struct __sk_buff *skb)
{
	struct udphdr udp;

	if (bpf_skb_load_bytes(skb, headers_of(skb) - sizeof(udp), &udp, sizeof(udp)))
		return 0;
	return bpf_ntohs(udp.len) - sizeof(udp);
}

SEC("tc")
int tc_again(struct __sk_buff *skb)
{
	struct fanout_global *g = the_global();
	struct template_address a = {};
	struct pass p = { .skb = skb, .segments = 1 };

	if (!g)
		return TC_ACT_SHOT;
	if (!read_template(skb, g, &a))
		return drop(FANOUT_DROP_FOREIGN_TEMPLATE);
	p.stream = a.stream;
	p.number = a.number;
	p.s = stream_at(p.stream);
	p.t = ticket_at(p.stream, p.number);
	if (!p.s || !p.t || p.t->number != p.number || p.t->state != FANOUT_TICKET_OUT)
		return is_done(p.t, p.number) ? TC_ACT_SHOT : drop(FANOUT_DROP_TICKET_LATE);
	p.payload = payload_of(skb);
	p.segment = p.payload;
	if (skb->gso_size && skb->gso_segs > 1) {
		p.segments = skb->gso_segs;
		p.segment = skb->gso_size;
	}
	if (skb->tstamp)
		bpf_skb_set_tstamp(skb, 0, BPF_SKB_TSTAMP_UNSPEC); /* the departure time was this template's, not the copies' */
	p.now = bpf_ktime_get_ns();
	note_pass(p.t, g, p.now);
	pass(&p, g);
	return TC_ACT_SHOT;
}

/* ---- from the picture cache --------------------------------------------------------------------------------- */

/* The frame is complete, cb[0] names the device. Returns what the device's queue said. */
SEC("tc")
int tc_send(struct __sk_buff *skb)
{
	return bpf_clone_redirect(skb, skb->cb[0], 0);
}
