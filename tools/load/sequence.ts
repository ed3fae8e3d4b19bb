// SPDX-License-Identifier: Apache-2.0
// What a receiver can tell of a stream by its sequence numbers (RFC 3550 A.1): lost, duplicated, reordered.

/** How far back a sequence number can be told from a duplicate. */
const WINDOW = 1024;

export class Sequence {
  packets = 0;
  duplicated = 0;
  reordered = 0;
  /** Behind the window: duplicated or very late. */
  old = 0;
  #unique = 0;
  #lowest = 0;
  /** Extended: grows past 65535. */
  #highest: number | undefined;
  readonly #seen = new Array<number>(WINDOW).fill(-1);

  note(seq: number): void {
    this.packets++;
    if (this.#highest === undefined) {
      this.#lowest = this.#highest = 65_536 + seq;
      this.#mark(this.#highest);
      return;
    }
    const step = ((seq - this.#highest) << 16) >> 16;
    const extended = this.#highest + step;
    if (-step >= WINDOW) this.old++;
    else if (this.#seen[extended % WINDOW] === extended) this.duplicated++;
    else {
      if (step < 0) this.reordered++;
      this.#highest = Math.max(this.#highest, extended);
      this.#lowest = Math.min(this.#lowest, extended);
      this.#mark(extended);
    }
  }

  /** Extended highest sequence number (RFC 3550 6.4.1), counted from the first packet's cycle; undefined before it. */
  get extendedHighest(): number | undefined {
    return this.#highest === undefined ? undefined : (this.#highest - 65_536) >>> 0;
  }

  /** Between the first and the last packet. */
  get lost(): number {
    return this.#highest === undefined ? 0 : this.#highest - this.#lowest + 1 - this.#unique;
  }

  /** Packets between the first and the last, lost ones included. */
  get expected(): number {
    return this.#unique + this.lost;
  }

  #mark(extended: number): void {
    this.#seen[extended % WINDOW] = extended;
    this.#unique++;
  }
}
