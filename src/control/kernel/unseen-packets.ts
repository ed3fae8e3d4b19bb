// SPDX-License-Identifier: Apache-2.0
// Tells whether packets that come up to a socket have passed our kernel program, which may have passed them up, by its count of them.

/** So long the count must stand still while packets come up: some always wait in the socket, counted a little before. */
const STANDS_STILL_MS = 200;

export class UnseenPackets {
  readonly #seen: () => number;
  readonly #nowMs: () => number;
  #since: { readonly ms: number; readonly seen: number };

  /** `seen`: packets that the program has counted. `nowMs` monotonic. */
  constructor(seen: () => number, nowMs = () => performance.now()) {
    this.#seen = seen;
    this.#nowMs = nowMs;
    this.#since = { ms: nowMs(), seen: seen() };
  }

  /** A packet has come up. Returns whether the program sees none of them. */
  cameUp(): boolean {
    const ms = this.#nowMs();
    if (ms - this.#since.ms < STANDS_STILL_MS) return false;
    const before = this.#since.seen;
    this.#since = { ms, seen: this.#seen() };
    return this.#since.seen === before;
  }
}
