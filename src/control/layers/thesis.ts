// SPDX-License-Identifier: Apache-2.0
// The policy of the 2009 thesis, to the letter: the viewer's bandwidth from each report, and one layer per report towards
// the first that exceeds it. That is one step of deliberate over-use, so that the next report can show room.

import { standsOn, type Ladder } from './ladder.js';
import { TOP_LAYER, type Interval, type LayerPolicy } from './policy.js';

export class ThesisPolicy implements LayerPolicy {
  #allowance = TOP_LAYER;
  #bandwidth: number | undefined;

  get allowance(): number {
    return this.#allowance;
  }

  get bandwidth(): number | undefined {
    return this.#bandwidth;
  }

  reported(interval: Interval, ladder: Ladder): void {
    if (interval.packetsSent === 0 || ladder.length === 0) return; // nothing was sent: nothing is known
    this.#bandwidth = bandwidthOf(interval);
    const at = standsOn(ladder, this.#allowance);
    const target = targetOf(ladder, this.#bandwidth);
    const next = ladder[at + Math.sign(target - at)]!;
    this.#allowance = next === ladder.at(-1) ? TOP_LAYER : next.layer;
  }
}

/** Bytes per second. What duplicates make of a report is no loss; more lost than sent is nothing received. */
export function bandwidthOf(interval: Interval): number {
  const { bytesSent, seconds, packetsSent, packetsDropped, packetsLost } = interval;
  const lost = Math.min(packetsSent, Math.max(0, packetsLost - packetsDropped));
  return ((bytesSent / seconds) * (packetsSent - lost)) / packetsSent;
}

/** Index of the first rung above the bandwidth, of the highest where none is. */
export function targetOf(ladder: Ladder, bandwidth: number): number {
  const above = ladder.findIndex(({ rate }) => rate > bandwidth);
  return above < 0 ? ladder.length - 1 : above;
}
