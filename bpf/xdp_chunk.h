/* SPDX-License-Identifier: GPL-2.0-only */
/* How many copies to send on their way at once, and to which device.
 *
 * XDP copies a frame by broadcasting it to all entries of a device map. So each egress device has maps of several sizes,
 * whose entries all name that device; the first entry of each names the private veth, for the template. Which viewer a
 * clone becomes the copy of is decided as it leaves; one too many is dropped there. */
#ifndef FANOUT_XDP_CHUNK_H
#define FANOUT_XDP_CHUNK_H

#include "clone.h"
#include "lane.h"
#include "loop.h"

/* Chunks that may be under way before one of their copies is made; more, and the device takes none, or what is planned is not what is due. */
#define FRUITLESS 1000
/* Positions that are looked at for a chunk: places that viewers have left are skipped. */
#define LOOK_AHEAD 1024

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} round_device SEC(".maps");

struct device_map {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1 + FANOUT_XDP_CHUNK);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, FANOUT_XDP_DEVICES * FANOUT_XDP_CHUNKS);
	__type(key, __u32);
	__array(values, struct device_map);
} chunk_maps SEC(".maps");

/* The smallest map for that many copies: for 1, 2, 4, 8, 16, 24 ... 64. */
static __always_inline void *chunk_map(const struct fanout_device *d, __u32 copies)
{
	__u32 size = copies <= 1 ? 0 : copies <= 2 ? 1 : copies <= 4 ? 2 : 3 + (copies - 1) / 8;
	__u32 index = d->index * FANOUT_XDP_CHUNKS + size;

	return bpf_map_lookup_elem(&chunk_maps, &index);
}

struct chunk {
	struct pass p;
	bool v6;      /* the template's family */
	__u32 egress; /* of the first viewer that is due */
	bool other;   /* that viewer is of the other family */
	__u32 copies; /* it and those after it behind the same device, of the same family */
	__u32 passed; /* positions before it, where nothing is due */
};

/* A viewer that does not get the packet's layer is done with it here: a frame for it would be dropped. */
static __always_inline bool passes_by(struct fanout_viewer *v, struct pass *p)
{
	enum served result;

	if (__sync_val_compare_and_swap(&v->state, FANOUT_VIEWER_ACTIVE, FANOUT_VIEWER_BUSY) != FANOUT_VIEWER_ACTIVE)
		return false;
	result = due(v, p);
	__sync_lock_test_and_set(&v->state, FANOUT_VIEWER_ACTIVE);
	return result == SERVED;
}

static __always_inline long pass_over(struct chunk *c)
{
	if (!c->copies)
		c->passed++;
	return 0;
}

static long look_at(__u32 i, void *context)
{
	struct chunk *c = context;
	__s32 slot = slot_of(c->p.s, position_at(c->p.start, c->p.span, c->p.offset + i));
	struct fanout_viewer *v;

	v = slot < 0 ? NULL : bpf_map_lookup_elem(&viewers, &slot);
	if (!v || v->state == FANOUT_VIEWER_FREE || (__s32)(v->next - c->p.number) > 0)
		return pass_over(c);
	if (must_wait(v, &c->p)) {
		c->p.last = WAIT;
		return 1;
	}
	if (c->p.thinned && passes_by(v, &c->p))
		return pass_over(c);
	if (!c->copies) {
		c->egress = v->ifindex;
		c->other = is_v6(v->address) != c->v6;
	} else if (v->ifindex != c->egress || is_v6(v->address) == c->v6 == c->other) {
		return 1;
	}
	return ++c->copies >= FANOUT_XDP_CHUNK;
}

/* A look mostly without locks, so only a guess, except that nobody is left before `p.offset`: who has been served, or came later,
 * stays so. */
static __always_inline void plan(struct chunk *c, const struct fanout_global *g)
{
	__u32 left = rest_of_lane(g, c->p.start, c->p.span, c->p.offset);

	c->copies = c->passed = unknown_zero(c->p.now);
	bpf_loop(left < LOOK_AHEAD ? left : LOOK_AHEAD, look_at, c, 0);
	c->p.offset += c->passed;
}

#endif
