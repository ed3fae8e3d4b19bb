// SPDX-License-Identifier: GPL-2.0-only
/* The RTP story, for XDP: TC's programs take packets in and give them tickets, as ever; their templates then wait in a
 * private veth of XDP's own, where XDP makes the copies without a socket buffer for each.
 *
 *   xdp_again    on the receiving end of the private veth: sends the next chunk of copies on its way, and the template
 *                round again
 *   xdp_copy     for each copy as it leaves, see xdp_copy.h
 *   xdp_round    for each template as it leaves for another round
 *   xdp_settle   on the tracepoint where the kernel says how many frames a driver took
 *
 * A template whose next viewer is behind a device that takes no XDP frames, or is of the other address family, passes up to
 * tc_again on the same device: TC serves it, by the same rules on the same maps. */
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

#include "xdp_chunk.h"
#include "xdp_copy.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline bool read_frame(struct xdp_md *x, const struct fanout_global *g, struct template_address *a,
				       bool *v6)
{
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;

	if (data + HEADERS_V4 > end)
		return false;
	*v6 = is_frame_v6(data);
	if (*v6 && data + HEADERS_V6 > end)
		return false;
	__builtin_memcpy(a, data, sizeof(*a));
	return is_template(a, g);
}

static __always_inline int xdp_drop(enum fanout_drop reason)
{
	count_drop(reason);
	return XDP_DROP;
}

/* ---- a chunk ------------------------------------------------------------------------------------------------ */

/* The template's packet has been served to all. If others are parked, tc_again has it take one up: it can make the frame
 * longer. */
static __always_inline int at_rest(const struct pass *p, const struct fanout_global *g)
{
	return is_any_parked(p->s, p->stream, carried_at_once(p->s, g)) ? XDP_PASS : XDP_DROP;
}

static __always_inline int round_again(void)
{
	return bpf_redirect_map(&round_device, 0, 0);
}

static __always_inline int wait(const struct pass *p, struct fanout_global *g)
{
	COUNT(p->s->waits, 1);
	reap(p->s, p->stream, g, p->now);
	return round_again();
}

/* The next copies of a packet. */
static __always_inline int serve_chunk(struct pass *p, bool v6, struct fanout_global *g)
{
	struct chunk c = { .p = *p, .v6 = v6 };
	struct fanout_device *d;
	void *map;

	plan(&c, g);
	if (!c.copies) {
		reach(p->s, p->stream, p->t, p->number, c.p.offset);
		if (c.p.last == WAIT)
			return wait(p, g);
		return c.p.offset < p->span ? round_again() : at_rest(p, g);
	}
	d = bpf_map_lookup_elem(&devices, &c.egress);
	if (!d || c.other || (__s64)(d->off_until_ns - p->now) > 0)
		return XDP_PASS; /* to tc_again */
	if (p->now - d->full_ns < FANOUT_XDP_FULL_NS)
		return round_again();
	if (d->fruitless++ >= FRUITLESS) {
		d->fruitless = 0;
		d->off_until_ns = p->now + FANOUT_XDP_OFF_NS;
		return XDP_PASS;
	}
	map = chunk_map(d, c.copies);
	if (!map)
		return XDP_PASS;
	return bpf_redirect_map(map, 0, BPF_F_BROADCAST);
}

/* The packet before it is copied on this CPU: two at a time would be more than the far end of a veth takes, and neither would be
 * done sooner. */
static __always_inline bool is_behind_another(const struct pass *p, const struct fanout_global *g)
{
	const struct fanout_ticket *before = ticket_at(p->stream, p->number - 1);

	return before && *(volatile __u32 *)&before->number == p->number - 1 && state_of(before) == FANOUT_TICKET_OUT &&
	       (before->start == FANOUT_NO_START ||
		lane_cpu(p->s, g, p->stream, position_at(before->start, before->span, before->offset)) ==
			bpf_get_smp_processor_id());
}

SEC("xdp")
int xdp_again(struct xdp_md *x)
{
	struct fanout_global *g = the_global();
	struct batch *b = the_batch();
	struct template_address a = {};
	struct pass p = {};
	bool v6;

	if (!g || !b)
		return XDP_DROP;
	if (!read_frame(x, g, &a, &v6))
		return xdp_drop(FANOUT_DROP_FOREIGN_TEMPLATE);
	settle_untold(b);
	if (a.stream & IDLE_TEMPLATE || !g->xdp_ifindex)
		return XDP_PASS;
	if (!begin_pass(&p, a.stream, a.number)) {
		if (!p.s || is_done(p.t, a.number))
			return p.s ? at_rest(&p, g) : XDP_DROP;
		return at_rest(&p, g) == XDP_PASS ? XDP_PASS : xdp_drop(FANOUT_DROP_TICKET_LATE); /* or tc_again counts it */
	}
	p.now = bpf_ktime_get_ns();
	note_pass(p.t, g, p.now);
	COUNT(p.s->passes, 1);
	if (p.t->start == FANOUT_NO_START)
		choose_first(p.s, p.t);
	if (is_elsewhere(p.s, p.t, g, p.stream))
		return XDP_PASS; /* tc_again sends it there */
	if (is_behind_another(&p, g))
		return wait(&p, g);
	p.start = p.t->start;
	return serve_chunk(&p, v6, g);
}

/* ---- as they leave ------------------------------------------------------------------------------------------ */

/* What read_frame has found to be there: the verifier wants bounds next to their use. */
static __always_inline __u32 payload_of_frame(struct xdp_md *x, bool v6)
{
	void *end = (void *)(long)x->data_end;
	struct udphdr *udp = (void *)(long)x->data + (v6 ? HEADERS_V6 : HEADERS_V4) - sizeof(*udp);

	return (void *)(udp + 1) > end ? 0 : bpf_ntohs(udp->len) - sizeof(*udp);
}

/* What the copy has of its own behind the UDP header, at `payload`; false: the frame is too short. */
static __always_inline bool rewrite_payload(void *payload, void *end, const struct fanout_viewer *v, const struct pass *p,
					    struct header_change *change)
{
	if (!p->thinned)
		return true;
	if (p->kind == FANOUT_RTCP) {
		if (payload + SR_COUNTS + 2 * sizeof(__be32) > end)
			return false;
		change->ports = fold32((__u64)change->ports + rewrite_counts(payload + SR_COUNTS, v));
		return true;
	}
	if (payload + RTP_START > end)
		return false;
	change->ports = fold32((__u64)change->ports + rewrite_rtp(payload, v->rtp_start));
	return true;
}

static __always_inline bool rewrite_frame(struct xdp_md *x, bool v6, const struct fanout_viewer *v, const struct pass *p)
{
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
	struct header_change change;

	if (v6) {
		if (data + HEADERS_V6 > end)
			return false;
		change = rewrite_v6(data, v, p->kind);
		if (!rewrite_payload(data + HEADERS_V6, end, v, p, &change))
			return false;
		patch_checksum(data + HEADERS_V6 - sizeof(struct udphdr), change);
		return true;
	}
	if (data + HEADERS_V4 > end)
		return false;
	change = rewrite_v4(data, v, p->kind);
	if (!rewrite_payload(data + HEADERS_V4, end, v, p, &change))
		return false;
	patch_checksum(data + HEADERS_V4 - sizeof(struct udphdr), change);
	return true;
}

SEC("xdp/devmap")
int xdp_copy(struct xdp_md *x)
{
	struct copying c = { .slot = -1, .egress = x->egress_ifindex };
	struct fanout_global *g = the_global();
	struct batch *b = the_batch();
	struct template_address a = {};
	struct fanout_viewer *v;
	struct made *made;
	__s32 slot;

	if (!g || !b)
		return XDP_PASS;
	note_frame(b, c.egress);
	if (!read_frame(x, g, &a, &c.v6)) {
		next_made(b)->slot = NO_SLOT;
		return XDP_PASS; /* somebody else's, who shares the batch */
	}
	if (!begin_pass(&c.p, a.stream, a.number))
		return XDP_DROP;
	c.p.payload = c.p.segment = payload_of_frame(x, c.v6);
	slot = next_viewer(b, &c, g);
	v = slot < 0 ? NULL : bpf_map_lookup_elem(&viewers, &slot);
	if (!v)
		return XDP_DROP; /* one clone too many */
	made = next_made(b);
	made->slot = slot;
	made->stream = a.stream;
	made->number = a.number;
	made->offset = c.p.offset;
	made->payload = c.p.payload;
	return rewrite_frame(x, c.v6, v, &c.p) ? XDP_PASS : XDP_DROP;
}

SEC("xdp/devmap")
int xdp_round(struct xdp_md *x)
{
	struct fanout_global *g = the_global();
	struct batch *b = the_batch();
	struct template_address a = {};
	struct pass p = {};
	bool v6;

	if (!g || !b)
		return XDP_DROP;
	settle_untold(b);
	if (!read_frame(x, g, &a, &v6))
		return XDP_DROP;
	/* When it has been served to all meanwhile, that's the template's end, if no other packet needs one. */
	return begin_pass(&p, a.stream, a.number) ||
			       (p.s && is_any_parked(p.s, p.stream, carried_at_once(p.s, g))) ?
		       XDP_PASS : XDP_DROP;
}

/* (from_dev, to_dev, sent, drops, err); every user of device maps on this host comes by. */
SEC("raw_tp/xdp_devmap_xmit")
int xdp_settle(struct bpf_raw_tracepoint_args *ctx)
{
	struct batch *b = the_batch();

	if (!b || !b->egress)
		return 0;
	return settle(b, (int)ctx->args[2], (int)ctx->args[4]);
}
