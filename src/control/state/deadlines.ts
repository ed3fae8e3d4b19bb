// SPDX-License-Identifier: Apache-2.0
// The one timer wheel of the process: whatever must happen later waits in a slot of it. A single interval of the
// surroundings calls advance(); there is no timer per viewer, per request or per session.

export interface Deadline {
  cancel(): void;
}

/** In a ring of those of its slot. When it is over it points to nothing, so that what it was about is garbage at once (churn.ts). */
class Entry implements Deadline {
  before: Entry = this;
  after: Entry = this;

  constructor(
    readonly tick: number,
    public due: (() => void) | undefined,
    readonly over: () => void,
  ) {}

  cancel(): void {
    if (!this.due) return;
    this.due = undefined;
    this.before.after = this.after;
    this.after.before = this.before;
    this.before = this.after = this;
    this.over();
  }
}

/** How long a slot is, and thus how late a deadline may come, milliseconds. */
export const TICK_MS = 100;
const SLOTS = 1024;

export class Deadlines {
  /** Of each slot its ring's ends. */
  readonly #slots = Array.from({ length: SLOTS }, () => new Entry(0, undefined, () => undefined));
  readonly #nowMs: () => number;
  #reached: number;
  #size = 0;
  readonly #over = () => void this.#size--;

  /** `nowMs` is a monotonic clock, milliseconds. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#reached = Math.floor(nowMs() / TICK_MS);
  }

  /** Calls `due` once, not before `ms` from now and at most a tick (and what the caller of advance adds) later. */
  in(ms: number, due: () => void): Deadline {
    const tick = Math.max(Math.ceil((this.#nowMs() + ms) / TICK_MS), this.#reached + 1);
    const ends = this.#slots[tick % SLOTS]!;
    const entry = new Entry(tick, due, this.#over);
    entry.before = ends.before;
    entry.after = ends;
    ends.before = ends.before.after = entry;
    this.#size++;
    return entry;
  }

  /** Runs everything that is due by now. After a long pause each slot is visited once, not once per missed tick. */
  advance(): void {
    const now = Math.floor(this.#nowMs() / TICK_MS);
    const first = Math.max(this.#reached + 1, now - SLOTS + 1);
    this.#reached = Math.max(this.#reached, now);
    for (let tick = first; tick <= now; tick++) {
      const ends = this.#slots[tick % SLOTS]!;
      const entries: Entry[] = [];
      for (let entry = ends.after; entry !== ends; entry = entry.after)
        if (entry.tick <= now) entries.push(entry);
      for (const entry of entries) {
        const { due } = entry;
        entry.cancel();
        due?.(); // unless one of the others has cancelled it
      }
    }
  }

  /** How many are waiting. */
  get size(): number {
    return this.#size;
  }
}
