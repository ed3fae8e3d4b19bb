// SPDX-License-Identifier: Apache-2.0
// The one timer wheel of the process: whatever must happen later waits in a slot of it. A single interval of the
// surroundings calls advance(); there is no timer per viewer, per request or per session.

export interface Deadline {
  cancel(): void;
}

interface Entry extends Deadline {
  readonly tick: number;
  readonly due: () => void;
}

/** How long a slot is, and thus how late a deadline may come, milliseconds. */
export const TICK_MS = 100;
const SLOTS = 1024;

export class Deadlines {
  readonly #slots: Set<Entry>[] = Array.from({ length: SLOTS }, () => new Set());
  readonly #nowMs: () => number;
  #reached: number;
  #size = 0;

  /** `nowMs` is a monotonic clock, milliseconds. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#reached = Math.floor(nowMs() / TICK_MS);
  }

  /** Calls `due` once, not before `ms` from now and at most a tick (and what the caller of advance adds) later. */
  in(ms: number, due: () => void): Deadline {
    const tick = Math.max(Math.ceil((this.#nowMs() + ms) / TICK_MS), this.#reached + 1);
    const slot = this.#slots[tick % SLOTS]!;
    const entry: Entry = {
      tick,
      due,
      cancel: () => {
        if (slot.delete(entry)) this.#size--;
      },
    };
    slot.add(entry);
    this.#size++;
    return entry;
  }

  /** Runs everything that is due by now. After a long pause each slot is visited once, not once per missed tick. */
  advance(): void {
    const now = Math.floor(this.#nowMs() / TICK_MS);
    const first = Math.max(this.#reached + 1, now - SLOTS + 1);
    this.#reached = Math.max(this.#reached, now);
    for (let tick = first; tick <= now; tick++) {
      for (const entry of this.#slots[tick % SLOTS]!) {
        if (entry.tick > now) continue;
        entry.cancel();
        entry.due();
      }
    }
  }

  /** How many are waiting. */
  get size(): number {
    return this.#size;
  }
}
