// SPDX-License-Identifier: Apache-2.0
// Which path of the configuration a viewer's URL means, and where its source is. Exact names come first, then patterns in
// the order of the file.

import {
  parsePlace,
  parseRtspUrl,
  placeOf,
  withoutCredentials,
  type Place,
  type RtspUrl,
} from '../rtsp/url.js';
import type { PathConfig, SourceTransport } from './path-config.js';
import { climbs, matchPattern } from './pattern.js';
import { fillIn, PUBLISH, usesQuery, type Asked, type SourceTemplate } from './source-template.js';

/** What a viewer's URL stands for. */
export interface Route {
  readonly config: PathConfig;
  /** Path and query as viewers name it (url.ts, placeOf): the resource's key. */
  readonly place: string;
  /** At the source, without credentials. Of a published path: as the publisher names it, once there is one. */
  readonly url: RtspUrl;
  /** Who is asked in turn where that one is not there, without credentials. */
  readonly fallbacks: readonly RtspUrl[];
}

/** Its source is asked for it. */
export interface PulledRoute extends Route {
  readonly config: PathConfig & { readonly source: SourceTemplate };
}

export function isPulled(route: Route): route is PulledRoute {
  return route.config.source !== PUBLISH;
}

export interface PathTable {
  /** All paths, patterns too, in the order of the file. */
  readonly paths: readonly PathConfig[];
  /** What our root (`/`) stands for; undefined: a path of its own like any other. */
  readonly root?: Place | undefined;
  /** Connections of viewers and to sources are multipath TCP where they can be; decided at the start. */
  readonly mptcp?: boolean | undefined;
}

const NOWHERE = parseRtspUrl('rtsp://publisher');

/** Undefined: there is no such path. */
export function findRoute({ paths, root }: PathTable, viewer: Place): Route | undefined {
  const { path: given, query } = root && isRoot(viewer) ? root : viewer;
  const path = given.replace(/^\//, '');
  const name = path.replace(/\/+$/, '');
  const exact = paths.find((config) => config.name === name);
  if (exact) return routeOf(exact, { path: name, query, stars: [] });
  if (climbs(path)) return undefined;
  for (const config of paths) {
    const stars = config.name.includes('*') ? matchPattern(config.name, name) : undefined;
    if (stars)
      return routeOf(config, { path, query, stars: withSlash(config.name, stars, path.slice(name.length)) });
  }
  return undefined;
}

/** What a root with a row of its own stands for, where that is one of the other rows'. */
export function rootRoute({ paths, root }: PathTable): Route | undefined {
  if (!root || !paths.some(({ name }) => name === '')) return undefined;
  const route = findRoute({ paths }, root);
  return route?.config.name === '' ? undefined : route;
}

/** By which entry a route is counted: what our root stands for counts there, and not by its pattern. */
export function entryName(table: PathTable, { place, config }: Pick<Route, 'place' | 'config'>): string {
  return place === rootRoute(table)?.place ? '' : config.name;
}

/** A slash at the end of what the viewer asked for is for the source to judge. */
function withSlash(pattern: string, stars: readonly string[], slash: string): readonly string[] {
  return pattern.endsWith('*') ? [...stars.slice(0, -1), stars.at(-1)! + slash] : stars;
}

/** Of a place that is known already (Route.place). */
export function routeAt(table: PathTable, place: string): Route | undefined {
  return findRoute(table, parsePlace(place));
}

function isRoot({ path, query }: Place): boolean {
  return (path === '' || path === '/') && query === undefined;
}

function routeOf(config: PathConfig, asked: Asked): Route {
  const { path, query } = asked;
  const { source } = config;
  const own = source !== PUBLISH && usesQuery(source) ? query : undefined;
  const place = placeOf({
    path: own === undefined ? `/${path}`.replace(/\/+$/, '') : `/${path}`,
    query: own,
  });
  const url = source === PUBLISH ? { ...NOWHERE, ...parsePlace(place) } : fillIn(source, asked);
  const fallbacks = (config.fallbacks ?? []).map((template) => withoutCredentials(fillIn(template, asked)));
  return { config, place, url: withoutCredentials(url), fallbacks };
}

/** How a track may come; of RTSP over HTTP it is part. */
export type MediaTransport = Exclude<SourceTransport, 'http'>;

/** `auto` from a source that is asked over TLS is within TLS: what it encrypts is not to come in the clear. */
export function transportFrom({ config, url }: Route): MediaTransport {
  const { sourceTransport } = config;
  if (sourceTransport === 'http') return 'tcp';
  return sourceTransport === 'auto' && url.scheme === 'rtsps' ? 'tcp' : sourceTransport;
}
