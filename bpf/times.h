/* SPDX-License-Identifier: GPL-2.0-only */
/* How long the kernel programs wait for what, in nanoseconds. The control plane need not know. */
#ifndef FANOUT_TIMES_H
#define FANOUT_TIMES_H

/* A copy waits this long for room in its egress while that takes nothing of the packet; then it is dropped. */
#define FANOUT_REFUSED_NS 500000000ull
/* A template that found little room, or whose turn it was not, comes again after so long; or as its class in the queue allows. */
#define FANOUT_RETRY_NS 50000ull
/* A stream with packets parked and nobody to carry them gets a template for that, but no more often than this. */
#define FANOUT_WAKE_NS 1000000ull
/* A template that others overtake is lost when it has not been seen for so long (they may be on another CPU, and its own be
 * busy with something else), or nothing at all for FANOUT_LOST_NS. */
#define FANOUT_OVERDUE_NS 500000000ull
#define FANOUT_LOST_NS 2000000000ull
/* A stream's copies are made on other CPUs only when none has been made for so long: the last have left the CPUs' queues. */
#define FANOUT_SETTLED_NS 100000000ull
/* XDP: a device that had no room is left alone for this long; its driver empties a queue of packets meanwhile. */
#define FANOUT_XDP_FULL_NS 10000ull
/* XDP: a device that does not take frames is TC's for this long: its link may be down, or its driver cannot do it. */
#define FANOUT_XDP_OFF_NS 1000000000ull
/* XDP: ... and for this long when nobody said what it took. */
#define FANOUT_XDP_UNTOLD_NS 10000000ull

#endif
