// SPDX-License-Identifier: Apache-2.0
// The default policy: additive increase, multiplicative decrease of the share that a viewer may have, a probe before each
// layer more, waiting longer after each probe that failed, and never more than TCP would get. docs/adr/0018 has why.

import { highestWithin, standsOn, type Ladder } from './ladder.js';
import { LossHistory } from './loss-history.js';
import { lossOf, TOP_LAYER, type Interval, type LayerPolicy } from './policy.js';
import { ProbeTimes } from './probe-times.js';
import { tcpLoss, tcpThroughput } from './tcp-throughput.js';

export const AIMD = {
  /**
   * Loss that is no reason to step back: what TCP would have at the viewer's rate, within these bounds. So who has little
   * is not pushed down further by others' probes, and who has much is.
   */
  tolerated: { least: 0.005, most: 0.02 },
  /** Additive increase, bytes per second in each second. TCP's, a segment per round trip, is twice that at 350 ms. */
  increase: 5000,
  /** Beside what did not get through, as much as was lost is given up, up to this, so that the queue can drain. */
  drain: 0.1,
  /** A layer is given up when the share is so far below it: one report with little loss is no reason. */
  patience: 0.06,
  /** That much at once is answered at once, and no steady loss: TCP's share does not count it. */
  heavy: 0.1,
  /** After a decrease, milliseconds. */
  hold: 10_000,
  /** The least round trip that TCP's share is computed for, milliseconds. */
  roundTrip: 350,
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
    const loss = lossOf(interval);
    const isLossy = loss > toleratedAt(ladder[at]!.rate);
    const before = this.#before;
    this.#before = undefined;
    if (before !== undefined && isLossy) {
      this.#fallBack(interval, ladder, at, standsOn(ladder, before));
      return; // its loss has been answered: it is no sign of what the viewer can have without it
    }
    if (loss < AIMD.heavy) this.#losses.add(loss);
    if (isLossy) this.#decrease(interval, ladder, at, loss);
    else this.#increase(interval, ladder, at, before !== undefined);
    this.#capAtTcp(interval, ladder);
  }

  #fallBack({ nowMs }: Interval, ladder: Ladder, from: number, to: number): void {
    this.#probes.failed(ladder[from]!.layer, nowMs, ladder[from]!.rate / ladder.at(-1)!.rate);
    this.#share = ladder[to]!.rate;
    this.#standOn(ladder, to);
  }

  #decrease({ nowMs, bytesSent, seconds }: Interval, ladder: Ladder, at: number, loss: number): void {
    const got = Math.min(this.#share ?? Infinity, bytesSent / seconds) * (1 - loss);
    this.#share = Math.max(ladder[0]!.rate, got * (1 - Math.min(loss, AIMD.drain)));
    this.#holdUntilMs = nowMs + AIMD.hold * (0.5 + this.#random());
    this.#stepDown(ladder, at);
  }

  #increase({ nowMs, seconds, limited }: Interval, ladder: Ladder, at: number, isProbe: boolean): void {
    const { layer, rate } = ladder[at]!;
    const next = ladder[at + 1];
    if (!isProbe) this.#probes.succeeded(layer); // a queue may have hidden the first report's loss
    this.#share = Math.max(this.#share ?? 0, rate);
    if (!next || limited || nowMs < this.#holdUntilMs) return;
    this.#share = Math.min(next.rate, this.#share + AIMD.increase * seconds);
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

function toleratedAt(rate: number): number {
  const { least, most } = AIMD.tolerated;
  return Math.min(most, Math.max(least, tcpLoss(rate, AIMD.roundTrip)));
}
