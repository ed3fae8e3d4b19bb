// SPDX-License-Identifier: Apache-2.0
// A bounded map that forgets: the least recently used entry when it is full, any entry after its time.

import { ChurnMap } from './churn.js';

export class ExpiringLru<V> {
  readonly #entries = new ChurnMap<string, { value: V; untilMs: number }>();
  readonly #limit: number;
  readonly #lifeMs: number;

  constructor(limit: number, lifeMs: number) {
    this.#limit = limit;
    this.#lifeMs = lifeMs;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string, nowMs: number): V | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    this.#entries.delete(key);
    if (entry.untilMs <= nowMs) return undefined;
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: string, value: V, nowMs: number): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, untilMs: nowMs + this.#lifeMs });
    if (this.#entries.size > this.#limit) this.#entries.delete(this.#entries.keys().next().value!);
  }

  clear(): void {
    this.#entries.clear();
  }
}
