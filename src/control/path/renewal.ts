// SPDX-License-Identifier: Apache-2.0
// When a lost source is asked again: after half a second, then twice as long each time up to the limit, each time shortened
// at random, so that the proxies of a site do not fall upon a camera together; until the viewers have waited long enough.

import type { BackOff } from '../state/back-off.js';
import type { Deadline } from '../state/deadlines.js';
import { nowMs, type Context } from './context.js';
import { Refusal } from './refusal.js';

export interface RenewalParts {
  /** An attempt that fails then is the last one. */
  readonly untilMs: number;
  readonly backOff: BackOff;
  /** Asks the source. Rejects with a Refusal. */
  readonly attempt: () => Promise<void>;
  /** For the log. */
  readonly name: string;
  readonly givenUp: (why: Error) => void;
}

/** Asking again changes nothing: our credentials are wrong, or what is there now is something else. */
const FINAL = [401, 403, 410];

export class Renewal {
  readonly #context: Context;
  readonly #parts: RenewalParts;
  #next: Deadline;
  #cancelled = false;

  constructor(context: Context, parts: RenewalParts) {
    this.#context = context;
    this.#parts = parts;
    this.#next = this.#later();
  }

  /** No attempt begins after this; one that is under way finds out for itself. */
  cancel(): void {
    this.#cancelled = true;
    this.#next.cancel();
  }

  #later(): Deadline {
    return this.#context.deadlines.in(this.#parts.backOff.next(), () => void this.#try());
  }

  async #try(): Promise<void> {
    const { attempt, name, givenUp, untilMs } = this.#parts;
    try {
      await attempt();
    } catch (error) {
      if (this.#cancelled) return;
      const why = error as Error;
      const isFinal = !(error instanceof Refusal) || FINAL.includes(error.status);
      if (isFinal || nowMs(this.#context.clock) >= untilMs) return givenUp(why);
      this.#context.log.info({ resource: name, why: why.message }, 'the source is still gone');
      this.#next = this.#later();
    }
  }
}
