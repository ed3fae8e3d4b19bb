// SPDX-License-Identifier: Apache-2.0
// Who may watch a path. Asked before anything is asked of its source.

import type { PathConfig } from '../config/path-config.js';
import type { Route } from '../config/path-table.js';
import { inRange } from '../state/address-range.js';
import type { AccessRule } from './authentication.js';
import type { Claim } from './hook-question.js';
import { Refusal } from './refusal.js';
import type { Story } from './request.js';
import type { Watched } from './watched.js';

type Asking = Omit<Claim, 'place' | 'established'> & { readonly established?: boolean };

/** Rejects with a Refusal: 403 from an address that is not allowed, 401 and others from who has not proved who it is. */
export async function admit(
  { authentication }: Pick<Story, 'authentication'>,
  { link, request, url, established = false }: Asking,
  { config, place }: Route,
): Promise<void> {
  if (!mayWatch(config, link.remote.address))
    throw new Refusal(403, 'viewers may not come from this address');
  const rule = readRule(config);
  if (rule) await authentication.check({ link, request, url, established, place }, rule);
}

const RULES = new WeakMap<PathConfig, AccessRule>();

/** Undefined: anybody may watch. */
function readRule(config: PathConfig): AccessRule | undefined {
  const { readUsers, authHook: hook, authMethods, authRealm: realm } = config;
  if (!readUsers && hook === undefined) return undefined;
  const rule = RULES.get(config) ?? {
    ...{ action: 'read', realm, hook, methods: authMethods && new Set(authMethods) },
    users: new Map(readUsers?.map(({ name, password }) => [name, password])),
  };
  RULES.set(config, rule);
  return rule;
}

/** What a reload may change for viewers who are there. */
export function mayWatch({ viewers }: PathConfig, address: string): boolean {
  return viewers === undefined || viewers.some((range) => inRange(range, address));
}

/** For one more. @throws Refusal 503 */
export function checkRoomAt({ route, sessions }: Watched): void {
  if (sessions.size >= (route.config.maxViewers ?? Infinity))
    throw new Refusal(503, 'the path has as many viewers as it may have');
}
