/* SPDX-License-Identifier: GPL-2.0-only */
/* What an RTP packet can say of its layer (layer.h). */
#ifndef FANOUT_LAYER_TOLD_H
#define FANOUT_LAYER_TOLD_H

#include "picture.h"

#define MOST_UNITS 32 /* of an aggregation packet; one with more says nothing */
#define NO_ID 0xff

/* At which packets a viewer that has the layers below, or some of them, may begin to get more: who has all layers below
 * `from`, those up to `to`. */
enum enters {
	ENTERS_NONE = 0,
	FROM_OWN = 1,   /* the packet's layer */
	FROM_ABOVE = 2, /* the layer above it; neither: whoever it is */
	TO_OWN = 4,
	TO_ALL = 8,
	ENTERS_ALL = TO_ALL,
	ENTERS_OWN = TO_OWN, /* nothing of the layer before this packet is needed */
	ENTERS_NEXT = FROM_OWN | TO_OWN,
	ENTERS_ON = FROM_OWN | TO_ALL,
	ENTERS_ABOVE = FROM_ABOVE | TO_ALL,
};

struct told {
	__u8 notion;       /* enum fanout_notion; VP9 and AV1: SPATIAL where there is more than one, as far as this packet knows */
	__u8 spatial;      /* the lowest; H.264: dependency_id */
	__u8 temporal;     /* the lowest */
	__u8 rest;         /* 1: begins in the middle of a unit, whose layer a packet before has told */
	__u8 open;         /* 1: ends in the middle of a unit, of these: */
	__u8 open_spatial;
	__u8 open_temporal;
	__u8 enters;       /* enum enters, of the temporal layer */
	__u8 enters_spatial;
	__u8 leading;      /* H.265: CRA_BEGINS, CRA_TRAILS */
	__u8 layer_ends;   /* the last packet of its spatial layer's frame */
	__u8 interleaved;  /* H.264 packetization mode 2: a unit needs a decoding order number */
};

#define CRA_BEGINS 1 /* a CRA picture: pictures after it that are not leading need nothing from before it */
#define CRA_TRAILS 2 /* not a leading picture */

struct layer_look {
	struct look at;
	struct told *told;
	__u32 skip;  /* bytes between an aggregated unit's size and the unit, the size included */
	bool whole;  /* all of it has been looked at */
	__u8 count;  /* AV1: W */
};

static __always_inline void lowest(__u8 *id, __u8 other)
{
	if (other < *id)
		*id = other;
}

#endif
