// SPDX-License-Identifier: Apache-2.0
// How long viewers have been waiting for a source, and how often it was asked, over all renewals that brought nothing: some
// sources agree to PLAY and hang up each time.

import { BackOff } from '../state/back-off.js';
import { nowMs, type Context } from './context.js';

export class Outage {
  readonly backOff: BackOff;
  readonly #context: Context;
  /** RTP packets that have come, of all tracks. */
  readonly #packets: () => number;
  /** Until when viewers are held. */
  #untilMs = 0;
  /** When the source was last back, and what had come before. */
  #back = { ms: -Infinity, packets: -1 };

  constructor(context: Context, packets: () => number) {
    this.#context = context;
    this.#packets = packets;
    this.backOff = new BackOff(context.limits.retryMs, context.random);
  }

  /**
   * The source is lost. Answers until when it is asked again. That begins anew where packets had come or it had lasted for a
   * while, the growing waits only where both is true.
   */
  begins(holdMs: number): number {
    if (this.#came || this.#lasted) this.#untilMs = this.#nowMs + holdMs;
    if (this.#came && this.#lasted) this.backOff.reset();
    return this.#untilMs;
  }

  /** It has agreed to play. */
  ends(): void {
    this.#back = { ms: this.#nowMs, packets: this.#packets() };
  }

  /** Viewers have waited long enough, though the source says each time that it plays. */
  get isHopeless(): boolean {
    return !this.#came && !this.#lasted && this.#nowMs >= this.#untilMs;
  }

  get #came(): boolean {
    return this.#packets() > this.#back.packets;
  }

  get #lasted(): boolean {
    return this.#nowMs - this.#back.ms >= this.#context.limits.retryMs;
  }

  get #nowMs(): number {
    return nowMs(this.#context.clock);
  }
}
