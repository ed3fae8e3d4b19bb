// SPDX-License-Identifier: GPL-2.0-only
/* The RTP story, for TC: a packet comes in, its stream is found, each viewer gets a copy.
 *
 *   tc_ingress   on devices where sources' packets arrive
 *   tc_again     on the receiving end of the private veth, where packets come round for their next pass
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
#include "descriptor.h"
#include "lane.h"
#include "layer_rate.h"
#include "layering.h"
#include "loop.h"
#include "maps.h"
#include "packet.h"
#include "parked.h"
#include "picture.h"
#include "picture_end.h"
#include "reception.h"
#include "serve.h"
#include "template.h"
#include "ticket.h"
#include "unchecked.h"

char LICENSE[] SEC("license") = "GPL";

/* ---- a pass ------------------------------------------------------------------------------------------------- */

/* The template goes round, to where its next viewer is served, or dies. */
static __always_inline void go_round(struct pass *p, struct fanout_global *g)
{
	__u32 cpu = is_steered(g) ? next_cpu(p->s, p->t, g, p->stream) : p->s->home;

	if (is_steered(g))
		p->t->moved = p->t->offset + 1;
	if (send_round(p->skb, p->stream, p->number, cpu) &&
	    end_ticket(p->s, p->stream, p->t, FANOUT_TICKET_DEAD))
		count_drop(FANOUT_DROP_TEMPLATE_DIED);
}

/* Nobody carries the oldest packet, for its template was lost: sends another template after it. */
static __always_inline void wake(struct pass *p)
{
	if (!is_head_parked(p->s, p->stream) || (__s64)(p->now - p->s->woken_ns) < (__s64)FANOUT_WAKE_NS)
		return;
	p->s->woken_ns = p->now;
	send_round(p->skb, p->stream | IDLE_TEMPLATE, 0, p->s->home);
}

/* One pass. False: its packet has been served to all, and the ticket has ended. Else the template is under way to the next
 * pass. */
static __always_inline bool pass(struct pass *p, struct fanout_global *g)
{
	if (serve_some(p, g)) {
		end_ticket(p->s, p->stream, p->t, FANOUT_TICKET_DONE);
		return false;
	}
	reap(p->s, p->stream, g, p->now);
	if (p->last == WAIT)
		wake(p);
	if ((p->last == WAIT || p->last == FULL) && p->copies < FANOUT_SLOW_COPIES)
		slow_down(p->skb, p->now);
	go_round(p, g);
	return true;
}

/* The template has nothing to do any more: the oldest packet that is parked becomes its own, if there is one. */
static __noinline bool take_up(struct pass *p)
{
	struct fanout_global *g = the_global();
	struct fanout_parked *e;
	__u32 index;

	if (!g || !p->s)
		return false;
	p->t = claim_parked(p->s, p->stream, carried_at_once(p->s, g), &p->number);
	if (!p->t)
		return false;
	index = p->t->parked;
	e = bpf_map_lookup_elem(&parked, &index);
	if (!e || e->owner != owner_of(p->stream, p->number) || unpark(p->skb, e)) {
		give_up(p->s, p->stream, p->t);
		count_drop(FANOUT_DROP_TEMPLATE_DIED);
		return false;
	}
	if (carry(p->t, g, waiting_room(p->skb, g) == g->xdp_ifindex, p->now))
		return true;
	turn(p->t, FANOUT_TICKET_MOVING, FANOUT_TICKET_PARKED);
	return false;
}

/* ---- arrival ------------------------------------------------------------------------------------------------ */

/* Whether the packet, which has just come, is served now; else it is parked until others before it have been. */
static __always_inline bool is_its_turn(const struct pass *p, const struct fanout_global *g)
{
	return p->number - head_of(p->s) < carried_at_once(p->s, g) && !is_head_parked(p->s, p->stream);
}

enum arrived {
	CARRIED, /* it is its own template */
	PARKED,  /* it has been kept, another template takes it up */
	REFUSED,
};

static __always_inline enum arrived receive(struct pass *p, const struct packet *in, struct fanout_global *g)
{
	__u32 room = waiting_room(p->skb, g) == g->xdp_ifindex;

	p->t = take_ticket(p->s, in, most_tickets(in));
	if (!p->t)
		return REFUSED;
	p->number = p->t->number;
	if (in->kind == FANOUT_RTCP && p->s->thinned)
		note_report(p->skb, in, p->s->counting, &p->t->layer);
	keep(p->skb, p->s, in, p->number);
	if (can_be_parked(in) && !is_its_turn(p, g)) {
		if (!park(p->skb, in, p->t, g))
			goto refuse;
		COUNT(p->s->parked, 1);
		/* Who moved head here before it was parked has not seen it. */
		if (p->number - head_of(p->s) >= carried_at_once(p->s, g) ||
		    !turn(p->t, FANOUT_TICKET_PARKED, FANOUT_TICKET_MOVING))
			return PARKED;
	}
	if (carry(p->t, g, room, p->now))
		return CARRIED;
refuse:
	give_up(p->s, p->stream, p->t);
	return REFUSED;
}

/* An arriving packet as a template: at once a pass, where it is its turn and TC serves. */
static __always_inline void serve_arrived(struct pass *p, struct fanout_global *g)
{
	if (head_of(p->s) != p->number || p->t->room) {
		go_round(p, g);
		return;
	}
	if (!pass(p, g) && is_head_parked(p->s, p->stream))
		send_round(p->skb, p->stream | IDLE_TEMPLATE, 0, p->s->home); /* came meanwhile, on another CPU */
}

/* Packets of the stream arrive here. What follows soon goes where those before it went. A function of its own, for the verifier. */
static __noinline int note_home(struct fanout_stream *s, __u32 stream, __u64 now)
{
	__u32 cpu = bpf_get_smp_processor_id(), tail;
	struct fanout_ticket *last;

	if (!s || s->home == cpu)
		return 0;
	tail = *(volatile __u32 *)&s->tail;
	last = ticket_at(stream, tail - 1);
	if (*(volatile __u32 *)&s->head == tail && last && (__s64)(now - last->seen_ns) > (__s64)FANOUT_SETTLED_NS)
		s->home = cpu;
	return 0;
}

/* Nobody gets it, but whoever comes next may begin with it. */
static __always_inline void keep_for_later(struct __sk_buff *skb, struct fanout_stream *s, const struct packet *in)
{
	struct fanout_ticket *t;

	if (!s->cache_size || in->kind == FANOUT_RTCP)
		return;
	t = take_ticket(s, in, most_tickets(in));
	if (!t) {
		forget(s);
		return;
	}
	keep(skb, s, in, t->number);
	give_up(s, in->stream, t);
}

/* `up`: the packet must also reach the socket that holds the port, unchanged. Then its template goes round at once and all
 * copies are made from that. */
static __always_inline int fan_out(struct __sk_buff *skb, struct fanout_stream *s, const struct packet *in,
				   struct fanout_global *g, __u64 now)
{
	bool up = in->kind == FANOUT_RTCP || s->pass_up;
	__u8 addresses[2 * ETH_ALEN];
	struct pass p = {
		.skb = skb, .s = s, .now = now, .stream = in->stream,
		.payload = in->payload, .segments = in->segments, .segment = in->segment,
		.copies = unknown_zero(now),
	};
	enum arrived arrived;

	if (!s->viewers && !s->joining) {
		keep_for_later(skb, s, in);
		if (up)
			return TC_ACT_UNSPEC;
		return drop(FANOUT_DROP_NO_VIEWER);
	}
	if (g->heartbeat_limit_ns && (__s64)(now - g->heartbeat_ns) > (__s64)g->heartbeat_limit_ns)
		return drop(FANOUT_DROP_STALE);
	reap(s, in->stream, g, now);
	note_home(s, in->stream, now);
	if (up)
		bpf_skb_load_bytes(skb, 0, addresses, sizeof(addresses));
	arrived = receive(&p, in, g);
	if (arrived == REFUSED) {
		COUNT(s->refused, 1);
		count_drop(FANOUT_DROP_NO_TICKET);
	}
	if (in->layer && has_end(in->layer))
		park_end(skb, s, in);
	if (arrived != CARRIED)
		wake(&p);
	else if (up)
		go_round(&p, g);
	else
		serve_arrived(&p, g);
	if (!up)
		return TC_ACT_SHOT;
	bpf_skb_store_bytes(skb, 0, addresses, sizeof(addresses), 0);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int tc_ingress(struct __sk_buff *skb)
{
	struct fanout_global *g = the_global();
	struct placing *placing;
	struct fanout_stream *s;
	struct packet p = {};
	__u64 now;

	if (!g || is_surely_not_ours(skb, g) || !is_ours(skb, &p))
		return TC_ACT_UNSPEC;
	s = stream_at(p.stream);
	if (!s || s->state != FANOUT_STREAM_OPEN)
		return TC_ACT_UNSPEC;
	p.generation = *(volatile __u32 *)&s->generation;
	if (is_forged_loopback(skb, s))
		return drop(FANOUT_DROP_NOT_SOURCE);
	if (!is_from_source(s, &p)) /* who else sends to a group does not send to us */
		return is_to_group(s) ? TC_ACT_UNSPEC : drop(FANOUT_DROP_NOT_SOURCE);
	if (p.fault)
		return drop(p.fault);
	if (!is_rtp_or_rtcp(skb, &p))
		return drop(FANOUT_DROP_MALFORMED);
	bpf_skb_pull_data(skb, p.payload_at + RTP_START); /* copies may have that of their own */
	now = bpf_ktime_get_ns();
	if (p.kind == FANOUT_RTCP) {
		COUNT(s->rtcp_packets, 1);
		if (!receive_rtcp(skb, s, &p, now))
			return drop(FANOUT_DROP_BEFORE_PICTURE);
	} else {
		p.begins = s->codec && begins_picture(skb, s, &p);
		COUNT(s->packets, p.segments);
		COUNT(s->bytes, p.payload);
		if (s->begin_by_ns && !p.begins && now < s->begin_by_ns)
			return drop(FANOUT_DROP_BEFORE_PICTURE);
		s->begin_by_ns = 0;
		receive_rtp(skb, s, &p, now);
		p.layer = NULL; /* for the verifier: begins_picture might have written there */
		if (s->codec) {
			if (s->descriptor)
				read_descriptor(skb, s, &p);
			find_packet_layer(skb, &p);
			placing = the_placing();
			p.layer = placing ? &placing->to : NULL;
		}
		count_layer(s, p.layer ? p.layer->layer : 0, p.payload, now);
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

/* Whether the template's own packet is to be served. */
static __always_inline bool has_packet(struct pass *p, const struct template_address *a)
{
	if (a->stream & IDLE_TEMPLATE)
		return false;
	p->number = a->number;
	p->t = ticket_at(p->stream, p->number);
	if (p->t && p->t->number == p->number && state_of(p->t) == FANOUT_TICKET_OUT)
		return true;
	if (!is_done(p->t, p->number))
		count_drop(FANOUT_DROP_TICKET_LATE);
	return false;
}

/* XDP is to serve it: it has come over from another CPU, or is to go there. What XDP has passed up on the right CPU is TC's. */
static __always_inline bool is_for_xdp(const struct pass *p, const struct template_address *a,
				       const struct fanout_global *g)
{
	return p->t->room && (a->stream & MOVING_TEMPLATE || is_elsewhere(p->s, p->t, g, p->stream));
}

static __always_inline void note_segments(struct pass *p)
{
	p->payload = payload_of(p->skb);
	p->segments = datagrams_in(p->skb, p->payload);
	p->segment = p->segments > 1 ? p->skb->gso_size : p->payload;
}

SEC("tc")
int tc_again(struct __sk_buff *skb)
{
	struct fanout_global *g = the_global();
	struct template_address a = {};
	struct pass p = { .skb = skb };
	bool own;

	if (!g)
		return TC_ACT_SHOT;
	if (!read_template(skb, g, &a))
		return drop(FANOUT_DROP_FOREIGN_TEMPLATE);
	p.stream = a.stream & TEMPLATE_STREAM;
	p.s = stream_at(p.stream);
	p.now = bpf_ktime_get_ns();
	p.copies = unknown_zero(p.now);
	if (skb->tstamp)
		bpf_skb_set_tstamp(skb, 0, BPF_SKB_TSTAMP_UNSPEC); /* the departure time was this template's, not the copies' */
	skb->priority = 0;
	if (!p.s)
		return TC_ACT_SHOT;
	own = has_packet(&p, &a);
	if ((!own && !take_up(&p)) || !p.t)
		return TC_ACT_SHOT;
	note_segments(&p);
	note_pass(p.t, g, p.now);
	if (own ? is_for_xdp(&p, &a, g) : p.t->room != 0)
		go_round(&p, g);
	else if (!pass(&p, g) && take_up(&p))
		go_round(&p, g);
	return TC_ACT_SHOT;
}

/* ---- from the picture cache --------------------------------------------------------------------------------- */

/* The frame is complete, cb[0] names the device. Returns what the device's queue said. */
SEC("tc")
int tc_send(struct __sk_buff *skb)
{
	return bpf_clone_redirect(skb, skb->cb[0], 0);
}
