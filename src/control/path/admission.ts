// SPDX-License-Identifier: Apache-2.0
// Who may watch a path. Asked before anything is asked of its source.

import type { PathConfig } from '../config/path-config.js';
import type { Route } from '../config/path-table.js';
import { inRange } from '../state/address-range.js';
import { Refusal } from './refusal.js';
import type { Ask } from './request.js';
import type { Resource } from './resource.js';

/** Rejects with a Refusal: 403 from an address that is not allowed. */
export async function admit({ link }: Pick<Ask, 'link'>, { config }: Route): Promise<void> {
  if (!mayWatch(config, link.remote.address))
    throw new Refusal(403, 'viewers may not come from this address');
}

/** What a reload may change for viewers who are there. */
export function mayWatch({ viewers }: PathConfig, address: string): boolean {
  return viewers === undefined || viewers.some((range) => inRange(range, address));
}

/** For one more. @throws Refusal 503 */
export function checkRoomAt({ route, sessions }: Resource): void {
  if (sessions.size >= (route.config.maxViewers ?? Infinity))
    throw new Refusal(503, 'the path has as many viewers as it may have');
}
