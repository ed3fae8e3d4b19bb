// SPDX-License-Identifier: Apache-2.0
// The parts that main.ts builds, closed in the reverse order of their building.

import type { Log } from './path/ports.js';

interface Part {
  readonly name: string;
  close(): Promise<void> | void;
}

export class Parts {
  readonly #built: Part[] = [];
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  built(name: string, close: () => Promise<void> | void): void {
    this.#built.push({ name, close });
  }

  /** Never rejects: a part that cannot be closed is logged and does not keep the ones below it open. */
  async close(): Promise<void> {
    for (let part = this.#built.pop(); part; part = this.#built.pop()) {
      try {
        await part.close();
      } catch (error) {
        this.#log.error({ part: part.name, err: error }, 'cannot be closed');
      }
    }
  }
}
