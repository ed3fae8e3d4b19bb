// SPDX-License-Identifier: Apache-2.0
// Viewers that join from the picture cache: what came since the last beginning of a picture is sent to them first, then
// they go on with the live packets, without a gap and without a duplicate. One timer for all of them.
import type { Timers } from '../path/ports.js';
import { ChurnSet } from '../state/churn.js';

/** A player's socket holds about 90 packets of 1200 bytes by default, and reads as fast as it decodes. */
const BURST = 32;
const TICK_MS = 5;

/** A join under way. */
export interface Join {
  /** Sends up to so many packets; true when there is no more to do. */
  step(packets: number): boolean;
}

export class Joins {
  readonly #under = new ChurnSet<Join>();
  readonly #every: Timers['every'];
  #stop: (() => void) | undefined;

  constructor(every: Timers['every'] = everyMs) {
    this.#every = every;
  }

  /** Makes the first step at once: the first picture should not wait for the timer. */
  begin(join: Join): void {
    if (join.step(BURST)) return;
    this.#under.add(join);
    this.#stop ??= this.#every(TICK_MS, () => this.#tick());
  }

  end(join: Join): void {
    this.#under.delete(join);
    this.#rest();
  }

  close(): void {
    this.#under.clear();
    this.#rest();
  }

  #tick(): void {
    for (const join of [...this.#under])
      if (this.#under.has(join) && join.step(BURST)) this.#under.delete(join);
    this.#rest();
  }

  #rest(): void {
    if (this.#under.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }
}

function everyMs(ms: number, run: () => void): () => void {
  const timer = setInterval(run, ms);
  return () => clearInterval(timer);
}
