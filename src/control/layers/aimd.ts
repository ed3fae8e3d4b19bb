// SPDX-License-Identifier: Apache-2.0
// The default policy: additive increase, multiplicative decrease of the share that a viewer may have, a probe before each
// layer more, waiting longer after each probe that failed, and never more than TCP would get. docs/adr/0025 has why.

import { highestWithin, standsOn, type Ladder } from './ladder.js';
import { LossHistory } from './loss-history.js';
import { lossOf, TOP_LAYER, type Interval, type LayerPolicy } from './policy.js';
import { ProbeTimes } from './probe-times.js';
import { tcpThroughput } from './tcp-throughput.js';
import { isAlike, tolerated } from './tolerance.js';

export const AIMD = {
  /** Additive increase, bytes per second in each second. TCP's, a segment per round trip, is that at 380 ms. */
  increase: 10_000,
  /** Of the share, for each part of it that was lost beyond what is tolerated. */
  decrease: 2,
  /** A layer is given up when the share is so far below it: one report with little loss is no reason. */
  patience: 0.06,
  /** So much loss at once is no steady loss, which TCP's share counts: the way is too narrow, and what got through shows how wide it is. */
  heavy: 0.1,
  /** The same for a viewer that nobody is to be compared with: all of it is its own doing. */
  heavyAlone: 0.05,
  /** Then, beside what did not get through, as much is given up for the queue to drain. */
  drain: 0.1,
  /** And a layer that needs so much more than got through is not tried for long. */
  beyond: 1.1,
  /** What got through, if it was wider until then: some of it came before. */
  before: 0.8,
  /** Of the way to what is typical, that who has more goes at each loss. */
  towards: 0.5,
  /** After a decrease, milliseconds. */
  hold: 7000,
  /** The least round trip that TCP's share is computed for, milliseconds. */
  roundTrip: 100,
} as const;

export class AimdPolicy implements LayerPolicy {
  readonly #random: () => number;
  readonly #losses = new LossHistory();
  readonly #probes: ProbeTimes;
  #allowance = TOP_LAYER;
  /** Bytes per second; undefined: no report yet. */
  #share: number | undefined;
  /** The allowance that the viewer had before a probe that no report has told of yet. */
  #before: number | undefined;
  #holdUntilMs = -Infinity;
  /** There was a report before, and its loss was not heavy. */
  #wasSteady = false;

  /** `random`: 0 to 1; viewers that share a link must not act in step. */
  constructor(random: () => number) {
    this.#random = random;
    this.#probes = new ProbeTimes(random);
  }

  get allowance(): number {
    return this.#allowance;
  }

  get bandwidth(): number | undefined {
    return this.#share;
  }

  reported(interval: Interval, ladder: Ladder): void {
    if (interval.packetsSent - interval.packetsDropped <= 0 || ladder.length === 0) return;
    const at = standsOn(ladder, this.#allowance);
    const { rate } = ladder[at]!;
    const loss = lossOf(interval);
    const typical = isAlike(rate, interval.typical) ? interval.typical : undefined;
    const heavy = typical === undefined ? AIMD.heavyAlone : AIMD.heavy;
    const excess = loss - tolerated(rate, typical);
    const before = this.#before;
    this.#before = undefined;
    if (before !== undefined && excess > 0) {
      this.#fallBack(interval, ladder, at, standsOn(ladder, before), typical);
      return; // its loss has been answered: it is no sign of what the viewer can have without it
    }
    if (loss >= heavy) this.#narrowed(interval, ladder, at, loss);
    else if (excess > 0) this.#decrease(interval, ladder, at, excess, typical);
    else this.#increase(interval, ladder, at, before !== undefined, typical);
    this.#wasSteady = loss < heavy;
    if (this.#wasSteady) this.#losses.add(loss);
    this.#capAtTcp(interval, ladder);
  }

  #fallBack(interval: Interval, ladder: Ladder, from: number, to: number, typical?: number): void {
    const { layer, rate } = ladder[from]!;
    const { nowMs } = interval;
    if (typical === undefined || lossOf(interval) >= AIMD.heavyAlone) this.#probes.failedBadly(layer, nowMs);
    else this.#probes.failed(layer, nowMs, rate / typical);
    this.#share = ladder[to]!.rate;
    this.#standOn(ladder, to);
  }

  #narrowed({ nowMs, bytesSent, seconds }: Interval, ladder: Ladder, at: number, loss: number): void {
    const got = Math.min(this.#share ?? Infinity, bytesSent / seconds) * (1 - loss);
    const carried = this.#wasSteady ? got * AIMD.before : got;
    const above = ladder.filter(({ rate }) => rate > carried * AIMD.beyond);
    this.#probes.tooMuch(
      above.map(({ layer }) => layer),
      nowMs,
    );
    this.#giveUp(ladder, at, got * (1 - AIMD.drain), nowMs);
  }

  #decrease(
    { nowMs, bytesSent, seconds }: Interval,
    ladder: Ladder,
    at: number,
    excess: number,
    typical = Infinity,
  ): void {
    const had = Math.min(this.#share ?? Infinity, bytesSent / seconds);
    const share = had * (1 - AIMD.decrease * excess);
    this.#giveUp(ladder, at, share - AIMD.towards * Math.max(0, share - typical), nowMs);
  }

  #giveUp(ladder: Ladder, at: number, share: number, nowMs: number): void {
    this.#share = Math.max(ladder[0]!.rate, share);
    this.#holdUntilMs = nowMs + AIMD.hold * (0.5 + this.#random());
    this.#stepDown(ladder, at);
  }

  #increase(interval: Interval, ladder: Ladder, at: number, isProbe: boolean, typical?: number): void {
    const { nowMs, seconds, limited } = interval;
    const { layer, rate } = ladder[at]!;
    const next = ladder[at + 1];
    if (!isProbe) this.#probes.succeeded(layer); // a queue may have hidden the first report's loss
    this.#share = Math.max(this.#share ?? 0, rate);
    if (!next || limited || rate > (typical ?? Infinity)) return; // what is still free is for who has less
    const isBehind = next.rate <= (typical ?? 0);
    if (!isBehind && nowMs < this.#holdUntilMs) return;
    this.#share = isBehind ? next.rate : Math.min(next.rate, this.#share + AIMD.increase * seconds);
    if (this.#share < next.rate || !this.#probes.mayTry(next.layer, nowMs)) return;
    this.#before = this.#allowance;
    this.#standOn(ladder, at + 1);
  }

  #capAtTcp({ bytesSent, packetsSent, packetsDropped, roundTripMs = 0 }: Interval, ladder: Ladder): void {
    const most = tcpThroughput({
      loss: this.#losses.mean,
      roundTripMs: Math.max(AIMD.roundTrip, roundTripMs),
      packetBytes: bytesSent / (packetsSent - packetsDropped),
    });
    if (most >= this.#share!) return;
    this.#share = Math.max(ladder[0]!.rate, most);
    this.#stepDown(ladder, standsOn(ladder, this.#allowance));
  }

  /** To the rung that the share is for, unless the one that the viewer stands on is hardly too high. */
  #stepDown(ladder: Ladder, at: number): void {
    const enough = this.#share! >= ladder[at]!.rate * (1 - AIMD.patience);
    if (!enough) this.#standOn(ladder, Math.min(at, highestWithin(ladder, this.#share!)));
  }

  #standOn(ladder: Ladder, rung: number): void {
    this.#allowance = rung === ladder.length - 1 ? TOP_LAYER : ladder[rung]!.layer;
  }
}
