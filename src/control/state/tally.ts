// SPDX-License-Identifier: Apache-2.0
// Counts by name: what was refused and why, and how many things each address holds.

/** Names are a fixed vocabulary of the program, never text from the network: the map cannot grow without bound. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  get(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  toObject(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}

/** How many of something each key holds at the moment; a key with none takes no room. */
export class Holders {
  readonly #held = new Map<string, number>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** False: that key holds `limit` already. */
  enter(key: string): boolean {
    if (this.isFull(key)) return false;
    this.#held.set(key, (this.#held.get(key) ?? 0) + 1);
    return true;
  }

  isFull(key: string): boolean {
    return (this.#held.get(key) ?? 0) >= this.#limit;
  }

  leave(key: string): void {
    const held = this.#held.get(key) ?? 0;
    if (held <= 1) this.#held.delete(key);
    else this.#held.set(key, held - 1);
  }

  get size(): number {
    return this.#held.size;
  }
}
