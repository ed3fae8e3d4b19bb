// SPDX-License-Identifier: Apache-2.0
// Viewers that join from the picture cache: what came since the last beginning of a picture is sent to them first, then
// they go on with the live packets, without a gap and without a duplicate. One timer for all of them.

/** A player's socket holds about 90 packets of 1200 bytes by default, and reads as fast as it decodes. */
const BURST = 32;
const TICK_MS = 5;

/** A join under way. */
export interface Join {
  /** Sends up to so many packets; true when there is no more to do. */
  step(packets: number): boolean;
}

export class Joins {
  readonly #under = new Set<Join>();
  #timer: NodeJS.Timeout | undefined;

  /** Makes the first step at once: the first picture should not wait for the timer. */
  begin(join: Join): void {
    if (join.step(BURST)) return;
    this.#under.add(join);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
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
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
