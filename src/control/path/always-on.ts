// SPDX-License-Identifier: Apache-2.0
// Paths that are always on (onDemand: false): each has its source connected and playing from the start on, without a viewer,
// and again whenever that ends.

import { sameSource } from '../config/diff.js';
import { findRoute, isPulled, type PathTable, type PulledRoute } from '../config/path-table.js';
import { BackOff } from '../state/back-off.js';
import type { Deadline } from '../state/deadlines.js';
import { nowMs, type Context } from './context.js';
import { Refusal } from './refusal.js';
import type { Resources } from './resources.js';

/** A source that refuses us is asked so often, lest it locks us out. */
const REFUSED_MS = 300_000;
const REFUSALS = [401, 403];

export class AlwaysOn {
  readonly #context: Context;
  readonly #resources: Resources;
  #kept = new Map<string, KeptPath>();

  constructor(context: Context, resources: Resources) {
    this.#context = context;
    this.#resources = resources;
  }

  /** This table has taken effect. */
  follow(table: PathTable): void {
    const before = this.#kept;
    this.#kept = new Map(
      routesOf(table).map((route) => {
        const same = before.get(route.place);
        if (!same || !sameSource(same.route, route))
          return [route.place, new KeptPath(this.#context, this.#resources, route)];
        before.delete(route.place);
        return [route.place, same];
      }),
    );
    for (const path of before.values()) path.close();
  }

  /** What nobody watches ends. */
  close(): void {
    for (const path of this.#kept.values()) path.close();
    this.#kept.clear();
  }
}

function routesOf(table: PathTable): PulledRoute[] {
  return table.paths.flatMap(({ name, onDemand }) => {
    const route = onDemand ? undefined : findRoute(table, { path: `/${name}`, query: undefined });
    return route && isPulled(route) ? [route] : [];
  });
}

class KeptPath {
  readonly route: PulledRoute;
  readonly #context: Context;
  readonly #resources: Resources;
  readonly #backOff: BackOff;
  readonly #closing: Promise<void>;
  #close!: () => void;
  #closed = false;
  #next: Deadline | undefined;
  /** What was wrong last: told once. */
  #why = '';

  constructor(context: Context, resources: Resources, route: PulledRoute) {
    this.#context = context;
    this.#resources = resources;
    this.route = route;
    this.#backOff = new BackOff(context.limits.retryMs, context.random);
    this.#closing = new Promise((resolve) => (this.#close = resolve));
    void this.#keep();
  }

  close(): void {
    this.#closed = true;
    this.#next?.cancel();
    this.#close();
  }

  /** One resource after the other. */
  async #keep(): Promise<void> {
    const { clock, limits } = this.#context;
    const begunMs = nowMs(clock);
    let delayMs = 0;
    try {
      await this.#resources.pulled(this.route).keep(this.#closing);
      if (nowMs(clock) - begunMs >= limits.retryMs) this.#backOff.reset();
    } catch (error) {
      if (error instanceof Refusal && REFUSALS.includes(error.status)) delayMs = REFUSED_MS;
      this.#tell((error as Error).message);
    }
    if (this.#closed) return;
    delayMs = Math.max(delayMs, this.#backOff.next());
    this.#next = this.#context.deadlines.in(delayMs, () => void this.#keep());
  }

  #tell(why: string): void {
    if (this.#closed || why === this.#why) return;
    this.#why = why;
    const resource = this.route.place;
    this.#context.log.warn({ resource, why }, 'a source that is always on cannot be had: it is asked again');
  }
}
