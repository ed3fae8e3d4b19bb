// SPDX-License-Identifier: Apache-2.0
// What a layer policy is: it reads what a viewer reported and says up to which layer that viewer gets packets. One per
// viewer and track. Nothing here knows a clock: times come with the reports.

import type { Ladder } from './ladder.js';

export const POLICIES = ['aimd', 'thesis', 'off'] as const;
export type PolicyName = (typeof POLICIES)[number];

/** Layers are numbered 0 to 7; 0 is the base, which is always sent. */
export const TOP_LAYER = 7;

/** What is known of the time between two reports of a viewer. */
export interface Interval {
  /** Of the second, monotonic milliseconds. */
  readonly nowMs: number;
  /** Its length, seconds, above 0. */
  readonly seconds: number;
  /** UDP payload of the copies that were sent. */
  readonly bytesSent: number;
  /**
   * Packets that the viewer could expect: the copies that were sent and, where their sequence numbers show (`rewrite:
   * false`), those that were withheld on purpose. That is the only reading by which the thesis's example is 720 000 B/s.
   */
  readonly packetsSent: number;
  /** Of these, withheld on purpose: 0 where sequence numbers are closed up, for then no report counts them. */
  readonly packetsDropped: number;
  /** As reported: negative where duplicates outnumber the lost. */
  readonly packetsLost: number;
  /** Milliseconds; undefined: no report has answered a sender report yet. */
  readonly roundTripMs: number | undefined;
  /** It was sent less than its allowance, because our own interface is full: that little was lost tells nothing of more. */
  readonly limited: boolean;
  /** What the stream's viewers have who lose something, bytes per second, their median; undefined: they are too few. */
  readonly typical: number | undefined;
}

export interface LayerPolicy {
  /** Packets of layers above it are not for the viewer, 0 to 7. */
  readonly allowance: number;
  /** What the viewer can have, bytes per second; undefined: no report yet. */
  readonly bandwidth: number | undefined;
  reported(interval: Interval, ladder: Ladder): void;
}

/** Lost on the way, and not on purpose, of what was sent: 0 to 1. */
export function lossOf({ packetsSent, packetsDropped, packetsLost }: Interval): number {
  const copies = packetsSent - packetsDropped;
  return copies <= 0 ? 0 : Math.min(1, Math.max(0, (packetsLost - packetsDropped) / copies));
}
