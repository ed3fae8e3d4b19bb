// SPDX-License-Identifier: Apache-2.0
// Our own interface as the bottleneck. Nobody has to report that: packets wait here, and what is sent meanwhile is what it
// carries. So all viewers behind it are thinned together, before anything is lost, and evenly.

import { divide, type Demand } from './divide.js';
import type { Ladder } from './ladder.js';

export const OWN_LINK = {
  /** Packets that wait longer than this at each look for so many milliseconds have found a standing queue. */
  standing: { seconds: 0.02, ms: 1000 },
  /** So much waits that there is no time to look again. */
  atOnce: 0.2,
  /** Of what the interface carries, when packets wait; and the rest of it by which the queue drains, seconds. */
  keep: 0.97,
  drainSeconds: 2,
  /** Given up at most, of what it carries. */
  least: 0.5,
  /** After a cut, milliseconds; twice as long after each that growing led to and that found the same capacity. */
  hold: { least: 3000, most: 24_000 },
  /** The same where few viewers are behind it: a step of one is more than that of what it carries. What it costs to try is then a viewer's. */
  coarse: { step: 0.05, least: 45_000, most: 360_000 },
  /** Added in a second then, of what it carries; doubled in so many milliseconds, up to the most, and the most at once where steps are coarse. */
  increase: { least: 0.004, most: 0.15, doubledMs: 5000 },
  /** A capacity that differs by less is the same. */
  same: 0.2,
  /** Who gets one layer more than others takes turns, milliseconds. */
  turn: 60_000,
} as const;

export interface LinkReading {
  /** Monotonic. */
  readonly nowMs: number;
  /** How long the oldest packet that waits for room has waited or will, about; 0: none waits. */
  readonly waitingSeconds: number;
  /** Packets that were refused because too many wait; from the beginning on. */
  readonly refused: number;
  /** UDP payload that was sent to all viewers behind it; from the beginning on. */
  readonly bytes: number;
}

export class OwnLink {
  #before: LinkReading | undefined;
  #standingSinceMs: number | undefined;
  #cutMs = -Infinity;
  #holdMs: number = OWN_LINK.hold.least;
  /** Bytes per second that it carries; undefined: it has never been full. */
  #capacity: number | undefined;
  #budget = Infinity;
  /** It has been tried since the last cut whether there is more. */
  #hasGrown = false;
  /** What each had last. */
  #given: readonly number[] = [];
  #turnMs = -Infinity;
  #turn = 0;
  /** What was sent in about the last second. */
  readonly #sent: LinkReading[] = [];

  /** Bytes per second that all viewers together may have; Infinity: it is not full. */
  get budget(): number {
    return this.#budget;
  }

  /** Nothing waits, and nothing is given up: there is no need to look. */
  rest(waitingSeconds: number): boolean {
    if (this.#budget < Infinity || waitingSeconds >= OWN_LINK.standing.seconds) return false;
    this.#sent.length = 0;
    this.#before = undefined;
    this.#standingSinceMs = undefined;
    return true;
  }

  /** Call it a few times a second. Returns the highest layer for each of them; undefined: no limit. */
  look(reading: LinkReading, demands: readonly Demand[], ladder: Ladder): readonly number[] | undefined {
    const { nowMs } = reading;
    this.#sent.push(reading);
    while (this.#sent.length > 2 && nowMs - this.#sent[1]!.nowMs >= OWN_LINK.standing.ms) this.#sent.shift();
    if (this.#isFull(reading)) this.#cut(reading, demands, ladder);
    else {
      this.#grow(reading, demands, ladder);
      if (this.#isCoarse(ladder)) this.#keepGiven(demands, ladder);
    }
    this.#before = reading;
    if (this.#budget === Infinity) return undefined;
    if (nowMs - this.#turnMs >= OWN_LINK.turn) {
      this.#turnMs = nowMs;
      this.#turn++;
    }
    return (this.#given = divide(this.#budget, demands, ladder, this.#turn));
  }

  /** The rates of layers go up and down by some percent: that alone takes nothing away, for a step down costs pictures. */
  #keepGiven(demands: readonly Demand[], ladder: Ladder): void {
    if (this.#given.length !== demands.length) return; // others
    const rates = this.#given.map((given, i) => ladder[Math.min(given, demands[i]!.rung)]?.rate ?? 0);
    this.#budget = Math.max(
      this.#budget,
      rates.reduce((sum, rate) => sum + rate, 0),
    );
  }

  #isFull({ nowMs, waitingSeconds, refused }: LinkReading): boolean {
    if (waitingSeconds < OWN_LINK.standing.seconds) this.#standingSinceMs = undefined;
    else this.#standingSinceMs ??= nowMs;
    if (nowMs - this.#cutMs < OWN_LINK.standing.ms) return false; // the last cut must show first
    const before = this.#before;
    if (!before) return false;
    if (refused > before.refused || waitingSeconds > OWN_LINK.atOnce) return true;
    return this.#standingSinceMs !== undefined && nowMs - this.#standingSinceMs >= OWN_LINK.standing.ms;
  }

  #cut({ nowMs, waitingSeconds }: LinkReading, demands: readonly Demand[], ladder: Ladder): void {
    const oldest = this.#sent[0]!;
    const newest = this.#sent.at(-1)!;
    const seconds = (newest.nowMs - oldest.nowMs) / 1000;
    if (seconds <= 0) return;
    // The base is sent in any case; and from nothing, where all stood still, it would never grow.
    const base = Math.max(1, demands.length) * ladder[0]!.rate;
    const capacity = Math.max(base, (newest.bytes - oldest.bytes) / seconds);
    const isSame = Math.abs(capacity / (this.#capacity ?? 0) - 1) < OWN_LINK.same;
    this.#capacity = capacity;
    const { least, most } = this.#isCoarse(ladder) ? OWN_LINK.coarse : OWN_LINK.hold;
    const next = isSame ? this.#holdMs * (this.#hasGrown ? 2 : 1) : least;
    this.#holdMs = Math.min(most, Math.max(least, next));
    this.#hasGrown = false;
    const drain = waitingSeconds / OWN_LINK.drainSeconds;
    this.#budget = this.#capacity * Math.max(OWN_LINK.least, OWN_LINK.keep - drain);
    this.#cutMs = nowMs;
  }

  #grow({ nowMs }: LinkReading, demands: readonly Demand[], ladder: Ladder): void {
    if (this.#capacity === undefined || this.#standingSinceMs !== undefined) return;
    const kept = this.#capacity * OWN_LINK.keep;
    if (this.#budget < kept) this.#budget = kept; // what was given up for the queue to drain
    const growingMs = nowMs - this.#cutMs - this.#holdMs;
    if (growingMs < 0) return;
    this.#hasGrown = true;
    const { least, most, doubledMs } = OWN_LINK.increase;
    const increase = this.#isCoarse(ladder) ? most : Math.min(most, least * 2 ** (growingMs / doubledMs));
    const seconds = Math.min(1, (nowMs - (this.#before?.nowMs ?? nowMs)) / 1000);
    this.#budget += this.#capacity * increase * seconds;
    const wanted = demands.reduce((sum, { rung }) => sum + (ladder[rung]?.rate ?? 0), 0);
    if (this.#budget < wanted * 1.05) return;
    this.#budget = Infinity;
    this.#capacity = undefined;
  }

  /** By the mean step between layers. */
  #isCoarse(ladder: Ladder): boolean {
    const steps = Math.max(1, ladder.length - 1);
    const step = (ladder.at(-1)!.rate - ladder[0]!.rate) / steps;
    return step > OWN_LINK.coarse.step * (this.#capacity ?? Infinity);
  }
}
