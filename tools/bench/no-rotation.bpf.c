// SPDX-License-Identifier: GPL-2.0-only
/* The engine as no-deferral.bpf.c has it, but every packet is served to the same viewer first: what rotation is worth is
 * the difference. */
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

#include "times.h"
#undef FANOUT_REFUSED_NS
#define FANOUT_REFUSED_NS 0ull
#include "clone.h"
/* A pass never sees that a viewer was the first of all, so it does not move on to the next. */
#define SERVED_FIRST ((enum served)255)
#include "fanout.bpf.c"
