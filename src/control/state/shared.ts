// SPDX-License-Identifier: Apache-2.0
// Work that several want at the same time is done once: who asks while it is under way gets the same outcome.

import { ChurnMap } from './churn.js';

export class Shared<T> {
  readonly #underWay = new ChurnMap<string, Promise<T>>();

  /** `key`: what is to be done. */
  run(key: string, work: () => Promise<T>): Promise<T> {
    const there = this.#underWay.get(key);
    if (there) return there;
    const done = work().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, done);
    return done;
  }
}
