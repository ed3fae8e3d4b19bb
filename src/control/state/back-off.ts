// SPDX-License-Identifier: Apache-2.0
// Longer and longer waits between attempts, each shortened at random, so that those who failed together do not come back
// together.

const FIRST_MS = 500;

export class BackOff {
  readonly #mostMs: number;
  readonly #random: (bytes: number) => Buffer;
  #delayMs = FIRST_MS;

  constructor(mostMs: number, random: (bytes: number) => Buffer) {
    this.#mostMs = mostMs;
    this.#random = random;
  }

  /** Milliseconds until the next attempt: from half a second on, twice as long each time, half to all of that. */
  next(): number {
    const shortened = this.#delayMs * (0.5 + this.#random(4).readUInt32BE() / 2 ** 33);
    this.#delayMs = Math.min(this.#delayMs * 2, this.#mostMs);
    return shortened;
  }

  /** All is well again. */
  reset(): void {
    this.#delayMs = FIRST_MS;
  }
}
