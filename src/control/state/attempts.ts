// SPDX-License-Identifier: Apache-2.0
// How often somebody may try: so many times at once, then one in an interval. What succeeds is given back.

export interface AttemptLimits {
  readonly burst: number;
  /** One more may be tried after so long, milliseconds. */
  readonly intervalMs: number;
  /** Keys that are remembered; the one that was tried least recently is forgotten. */
  readonly keys: number;
}

export class Attempts {
  readonly #limits: AttemptLimits;
  /** When all would be given back; a key is there only until then. Least recently tried first. */
  readonly #fullAt = new Map<string, number>();

  constructor(limits: AttemptLimits) {
    this.#limits = limits;
  }

  /** 0: it counts as tried. Otherwise how long to wait, milliseconds. */
  take(key: string, nowMs: number): number {
    const { burst, intervalMs, keys } = this.#limits;
    const fullAt = Math.max(this.#fullAt.get(key) ?? 0, nowMs) + intervalMs;
    const waitMs = fullAt - nowMs - burst * intervalMs;
    if (waitMs > 0) return waitMs;
    this.#fullAt.delete(key);
    this.#fullAt.set(key, fullAt);
    if (this.#fullAt.size > keys) this.#fullAt.delete(this.#fullAt.keys().next().value!);
    return 0;
  }

  giveBack(key: string, nowMs: number): void {
    const fullAt = (this.#fullAt.get(key) ?? 0) - this.#limits.intervalMs;
    if (fullAt > nowMs) this.#fullAt.set(key, fullAt);
    else this.#fullAt.delete(key);
  }

  get size(): number {
    return this.#fullAt.size;
  }
}
