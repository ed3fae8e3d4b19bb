// SPDX-License-Identifier: Apache-2.0
// Why the source of a path cannot be had: told once in the log, and shown until it can be.

import { entryName, type PathTable, type PulledRoute } from '../config/path-table.js';
import { ExpiringLru } from '../state/expiring-lru.js';
import { nowMs } from './context.js';
import type { Clock, Log } from './ports.js';
import { Refusal } from './refusal.js';

/** Nobody has asked for so long: nobody knows any more. */
const KNOWN_MS = 600_000;
/** Paths of the configuration that this is known of at a time. */
const MOST = 4096;

export class Troubles {
  readonly #paths: { readonly table: PathTable };
  readonly #clock: Clock;
  readonly #log: Log;
  /** By name of the configuration: viewers can make up places of a pattern. What our root stands for is no such place. */
  readonly #why = new ExpiringLru<string>(MOST, KNOWN_MS);

  constructor(paths: { readonly table: PathTable }, clock: Clock, log: Log) {
    this.#paths = paths;
    this.#clock = clock;
    this.#log = log;
  }

  /** One sentence; undefined: none is known. */
  of(name: string): string | undefined {
    return this.#why.get(name, nowMs(this.#clock)) || undefined;
  }

  /** `ask`: for what the source must tell before anybody can watch. `quietly`: who asks tells of it. */
  async about<T>(route: PulledRoute, quietly: boolean, ask: () => Promise<T>): Promise<T> {
    const name = this.#nameOf(route);
    try {
      const answer = await ask();
      if (this.of(name) !== undefined) this.#why.set(name, '', nowMs(this.#clock));
      return answer;
    } catch (error) {
      if (error instanceof Refusal) this.#note(route, quietly, error);
      throw error;
    }
  }

  /** What a source does not have (404) by a name that a viewer made up is no fault of the path. */
  #note(route: PulledRoute, quietly: boolean, { message: why, status }: Refusal): void {
    const [name, { place }] = [this.#nameOf(route), route];
    if (status === 404 && name.includes('*')) return;
    const known = this.of(name);
    this.#why.set(name, why, nowMs(this.#clock));
    if (known !== why && !quietly)
      this.#log.warn({ resource: place || '/', status, why }, 'the source cannot be had');
  }

  #nameOf(route: PulledRoute): string {
    return entryName(this.#paths.table, route);
  }
}
