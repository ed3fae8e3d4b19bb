// SPDX-License-Identifier: GPL-2.0-only
/* The engine as it is, but a copy that its egress does not take at once is lost: what deferral is worth is the
 * difference. */
#include "times.h"
#undef FANOUT_REFUSED_NS
#define FANOUT_REFUSED_NS 0ull
#include "fanout.bpf.c"
