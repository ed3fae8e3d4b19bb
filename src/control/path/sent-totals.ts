// SPDX-License-Identifier: Apache-2.0
// What has been sent by each path of the configuration since the start, to those included who have left.

import { entryName, type PathTable } from '../config/path-table.js';
import type { ViewerCounters } from './ports.js';
import type { Watched } from './watched.js';

/** RTP packets, their UDP payload, and copies that were not sent. */
export type Sent = Pick<ViewerCounters, 'packets' | 'bytes' | 'drops'>;

const NOTHING: Sent = { packets: 0, bytes: 0, drops: 0 };

export class SentTotals {
  readonly #paths: { readonly table: PathTable };
  /** By name of the configuration, of copies that have ended. */
  readonly #ended = new Map<string, Sent>();

  constructor(paths: { readonly table: PathTable }) {
    this.#paths = paths;
  }

  /** A viewer of that resource gets no copies any more, or no more of them for now. */
  ended({ route }: Watched, sent: Sent): void {
    const name = entryName(this.#paths.table, route);
    this.#ended.set(name, sum(this.#ended.get(name) ?? NOTHING, sent));
  }

  /** `open`: the resources of that name. */
  of(name: string, open: readonly Watched[]): Sent {
    let all = this.#ended.get(name) ?? NOTHING;
    for (const { sessions } of open)
      for (const { tracks } of sessions)
        for (const { sending } of tracks.values()) if (sending) all = sum(all, sending);
    return all;
  }
}

function sum(a: Sent, b: Sent): Sent {
  return { packets: a.packets + b.packets, bytes: a.bytes + b.bytes, drops: a.drops + b.drops };
}
