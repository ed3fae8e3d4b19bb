// SPDX-License-Identifier: Apache-2.0
// What a reload changes: of a path that is in use, and of the whole for the log.

import { isDeepStrictEqual } from 'node:util';
import { FIELDS, type FieldName, type PathConfig } from './path-config.js';
import type { PathTable, Route } from './path-table.js';
import { PUBLISH } from './source-template.js';

const LASTING = (Object.keys(FIELDS) as FieldName[]).filter((name) => !FIELDS[name].live);

/** Of routes of one place: what differs at most applies to the viewers who are there: they play on. */
export function sameSource(a: Route, b: Route): boolean {
  return (
    sameUrl(a, b) &&
    isDeepStrictEqual(serverOf(a), serverOf(b)) &&
    isDeepStrictEqual(a.config.fallbacks, b.config.fallbacks) &&
    LASTING.every((name) => isDeepStrictEqual(a.config[name], b.config[name]))
  );
}

/** The same template gives the same URL but for a trailing slash, which is passed on as the viewer writes it. */
function sameUrl(a: Route, b: Route): boolean {
  return isDeepStrictEqual(a.url, b.url) || isDeepStrictEqual(a.config.source, b.config.source);
}

/** With credentials, which are not in the route's URL; undefined: a publisher's. */
function serverOf({ config: { source } }: Route): object | undefined {
  if (source === PUBLISH) return undefined;
  const { user, password } = source.url;
  return { user, password };
}

export interface PathChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

/** Names of paths and patterns; `/` where the root stands for something else. */
export function changesBetween(before: PathTable, after: PathTable): PathChanges {
  const old = byName(before);
  const now = byName(after);
  const changedRoot = isDeepStrictEqual(before.root, after.root) ? [] : ['/'];
  const changedPaths = [...now.keys()].filter(
    (name) => old.has(name) && !isDeepStrictEqual(old.get(name), now.get(name)),
  );
  return {
    added: [...now.keys()].filter((name) => !old.has(name)),
    removed: [...old.keys()].filter((name) => !now.has(name)),
    changed: [...changedRoot, ...changedPaths],
  };
}

function byName({ paths }: PathTable): Map<string, PathConfig> {
  return new Map(paths.map((config) => [config.name, config]));
}
