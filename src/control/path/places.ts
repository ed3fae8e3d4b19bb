// SPDX-License-Identifier: Apache-2.0
// What the URLs that a source describes are called towards viewers (RFC 2326 C.1.1). The path's own name stands for the
// source's URL; what hangs on it there hangs on it here; a track that is elsewhere at the source gets a number.

import type { Route } from '../config/path-table.js';
import { placeOf, placeOfText } from '../rtsp/url.js';
import type { ExpiringLru } from '../state/expiring-lru.js';
import type { Described, Description, MediaDescription } from './description.js';

/** Places (url.ts, placeOf) as viewers name them. */
export interface Places {
  /** What relative control URLs hang on. */
  readonly base: string;
  /** What the session is controlled by. */
  readonly aggregate: string;
  /** Of each m= section, in order. */
  readonly media: readonly string[];
}

export function viewerPlaces({ place, url }: Route, { base, aggregate, media }: Description): Places {
  const own = placeOf(url);
  const at = (text: string) => hangs(text, own, place);
  const newBase = at(base) ?? place;
  const newAggregate = hangs(aggregate, placeOfText(base), newBase) ?? at(aggregate) ?? place;
  const onAggregate = (text: string) => hangs(text, placeOfText(aggregate), newAggregate);
  const tracks = media.map(
    ({ control }, index) => onAggregate(control) ?? at(control) ?? `${place}/trackID=${index}`,
  );
  return { base: newBase, aggregate: newAggregate, media: tracks };
}

/** The place of `text` where it is `from` or hangs on it, with `to` in its stead. */
function hangs(text: string, from: string | undefined, to: string): string | undefined {
  const place = placeOfText(text);
  if (place === undefined || from === undefined || !place.startsWith(from)) return undefined;
  const rest = place.slice(from.length);
  return rest === '' || /^[/?&]/.test(rest) ? to + rest : undefined;
}

/** Every place that the description gives a meaning to. A sole track without URL of its own shares the resource's. */
export function* placesOf(route: Route, description: Description): Iterable<[string, Described]> {
  const { base, aggregate, media } = viewerPlaces(route, description);
  for (const place of [route.place, base, aggregate]) yield [place, { route, description, media: undefined }];
  for (const [index, section] of description.media.entries()) {
    if (media[index] === aggregate && media.length > 1) continue;
    yield [media[index]!, { route, description, media: section }];
  }
}

/** A viewer that has been told of these may name them for a while. */
export function remember(
  described: ExpiringLru<Described>,
  route: Route,
  description: Description,
  nowMs: number,
): Description {
  for (const [place, means] of placesOf(route, description)) described.set(place, means, nowMs);
  return description;
}

/** What a place means by the description; undefined: nothing. */
export function meaningOf(route: Route, description: Description, place: string): Described | undefined {
  return new Map(placesOf(route, description)).get(place);
}

/** Of an absolute control URL in the description's text. */
export function placeOfControl(text: string, places: Places, description: Description): string | undefined {
  const index = description.media.findIndex(({ control }: MediaDescription) => control === text);
  if (index >= 0) return places.media[index];
  return placeOfText(text) === placeOfText(description.aggregate) ? places.aggregate : undefined;
}
