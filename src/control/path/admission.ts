// SPDX-License-Identifier: Apache-2.0
// Who may watch a path, and who may publish it. Asked before anything is asked of its source, or opened for it.

import type { PathConfig } from '../config/path-config.js';
import type { Route } from '../config/path-table.js';
import { inRange } from '../state/address-range.js';
import type { AccessRule } from './authentication.js';
import type { Action, Claim } from './hook-question.js';
import { Refusal } from './refusal.js';
import type { Story } from './request.js';

type Asking = Omit<Claim, 'place' | 'established'> & { readonly established?: boolean };

/** Rejects with a Refusal: 403 from an address that is not allowed, 401 and others from who has not proved who it is. */
export async function admit(
  { authentication }: Pick<Story, 'authentication'>,
  { link, request, url, established = false }: Asking,
  { config, place }: Route,
): Promise<void> {
  if (!mayWatch(config, link.remote.address))
    throw new Refusal(403, 'viewers may not come from this address');
  const rule = ruleFor('read', config);
  if (rule) await authentication.check({ link, request, url, established, place }, rule);
}

/** As admit(), of who publishes. */
export async function admitPublisher(
  { authentication }: Pick<Story, 'authentication'>,
  { link, request, url, established = false }: Asking,
  { config, place }: Route,
): Promise<void> {
  if (!mayPublish(config, link.remote.address))
    throw new Refusal(403, 'publishers may not come from this address');
  const rule = ruleFor('publish', config);
  if (rule) await authentication.check({ link, request, url, established, place }, rule);
}

const RULES = { read: new WeakMap<PathConfig, AccessRule>(), publish: new WeakMap<PathConfig, AccessRule>() };

/** Undefined: anybody may. */
function ruleFor(action: Action, config: PathConfig): AccessRule | undefined {
  const { readUsers, publishUsers, authHook: hook, authMethods, authRealm: realm } = config;
  const users = action === 'read' ? readUsers : publishUsers;
  if (!users && hook === undefined) return undefined;
  const rule = RULES[action].get(config) ?? {
    ...{ action, realm, hook, methods: authMethods && new Set(authMethods) },
    users: new Map(users?.map(({ name, password }) => [name, password])),
  };
  RULES[action].set(config, rule);
  return rule;
}

/** What a reload may change for viewers who are there. */
export function mayWatch({ viewers }: PathConfig, address: string): boolean {
  return viewers === undefined || viewers.some((range) => inRange(range, address));
}

/** As mayWatch(), for publishers. */
export function mayPublish({ publishers }: PathConfig, address: string): boolean {
  return publishers === undefined || publishers.some((range) => inRange(range, address));
}

/** For one more. @throws Refusal 503 */
export function checkRoomAt({ resources }: Pick<Story, 'resources'>, { place, config }: Route): void {
  if (resources.viewersAt(place) >= (config.maxViewers ?? Infinity))
    throw new Refusal(503, 'the path has as many viewers as it may have');
}
