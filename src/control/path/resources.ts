// SPDX-License-Identifier: Apache-2.0
// The resources that somebody wants at the moment, by their place among our URLs, and the way from a control URL to its track.

import { sameSource } from '../config/diff.js';
import { findRoute, isPulled, routeAt, type PulledRoute, type Route } from '../config/path-table.js';
import { placeOf, type RtspUrl } from '../rtsp/url.js';
import { holderOf } from '../state/address.js';
import { Holders } from '../state/tally.js';
import { nowMs, type Context } from './context.js';
import type { Described, Description } from './description.js';
import type { Publication } from './publication.js';
import { PublishedResource } from './published.js';
import { Refusal } from './refusal.js';
import { Resource, type ResourceOwner } from './resource.js';
import { checkTakeOver } from './take-over.js';
import { parentOf } from './url-map.js';
import type { Watched } from './watched.js';

/** Rejects with a Refusal when the viewer may not watch what is there. */
export type Admit = (route: Route) => Promise<void>;

export class Resources implements ResourceOwner {
  readonly #context: Context;
  readonly #open = new Map<string, Watched>();
  readonly #all = new Set<Watched>();
  /** By place; nobody waits for the end of one viewer's own. */
  readonly #ending = new Map<string | Watched, Promise<void>>();
  /** Whose address has asked for it last. */
  readonly #askedBy = new WeakMap<Watched, string>();

  /** Addresses that wait for a source's first description. One may fill half of the table: a wall of cameras, but not all there is. */
  readonly #asking: Holders;

  constructor(context: Context) {
    this.#context = context;
    this.#asking = new Holders(context.limits.resources / 2);
  }

  /** Those that are ending, too. */
  get all(): ReadonlySet<Watched> {
    return this.#all;
  }

  /**
   * The resource that is served there. It must be used (use()) before the caller awaits anything.
   * @throws Refusal 404 when nobody publishes what is published, 503 when there are too many already, or a reload has taken the path away meanwhile.
   */
  at(route: Route): Watched {
    const open = this.#open.get(route.place);
    if (open && !this.#isPassed(open)) return open;
    if (!isPulled(route)) throw new Refusal(404, 'nobody publishes there');
    open?.recording!.leave();
    return this.pull(route);
  }

  /**
   * Keeps the resource while `work` for a viewer of that address is under way. What nobody watches afterwards is kept for a
   * while, but few of one address: each is a connection to a source.
   */
  async use<T>(resource: Watched, address: string, work: () => Promise<T>): Promise<T> {
    const holder = holderOf(address);
    this.#askedBy.set(resource, holder);
    try {
      return await resource.use(work);
    } finally {
      const unused = [...this.#all].filter((one) => one.unused && this.#askedBy.get(one) === holder);
      const tooMany = Math.max(0, unused.length - this.#context.limits.unusedPerAddress);
      for (const oldest of unused.slice(0, tooMany)) void oldest.end('its viewer asks for others');
    }
  }

  /** Near-video-on-demand: who comes now is to see the beginning of it, and there is room for one more start. */
  #isPassed({ route, recording }: Watched): boolean {
    const { stagger, staggerStarts } = route.config;
    if (stagger === 0 || (recording?.ageMs ?? 0) < stagger) return false;
    return (
      this.#at(route.place).filter((start) => !start.recording?.own).length < staggerStarts &&
      this.#all.size < this.#context.limits.resources
    );
  }

  /** Sessions of viewers, of all starts and of those of their own. */
  viewersAt(place: string): number {
    return this.#at(place).reduce((sum, { sessions }) => sum + sessions.size, 0);
  }

  /** Whether newcomers join it. */
  isOpen(resource: Watched): boolean {
    return this.#open.get(resource.route.place) === resource;
  }

  #at(place: string): Watched[] {
    return [...this.#all].filter(({ route, state }) => route.place === place && state !== 'ending');
  }

  /** A new one, where there is none. @throws as at() */
  pull(route: PulledRoute): Resource {
    const { place } = route;
    const resource = this.#make(route, { after: this.#ending.get(place) ?? Promise.resolve() });
    this.#open.set(place, resource);
    return resource;
  }

  /** A new one of the same source, for one viewer. @throws as at() */
  own(route: Route): Resource {
    return this.#make(route, { own: true });
  }

  /** How many of a path of the configuration are one viewer's. */
  ownOf(name: string): number {
    const isOwn = ({ route, recording, state }: Watched) =>
      route.config.name === name && recording?.own === true && state !== 'ending';
    return [...this.#all].filter(isOwn).length;
  }

  #make(route: Route, more: ConstructorParameters<typeof Resource>[3]): Resource {
    const { place } = route;
    const now = routeAt(this.#context.paths.table, place);
    if (!now || !isPulled(now) || !sameSource(now, route))
      throw new Refusal(503, 'the path has been changed');
    if (this.#all.size >= this.#context.limits.resources)
      throw new Refusal(503, 'too many resources are in use');
    const resource = new Resource(this.#context, this, { ...now, url: route.url }, more);
    this.#all.add(resource);
    return resource;
  }

  /** As at(), of what is never published. */
  pulled(route: PulledRoute): Resource {
    const open = this.#open.get(route.place);
    return open instanceof Resource ? open : this.pull(route);
  }

  publisherAt(place: string): Publication | undefined {
    return this.#open.get(place)?.publisher;
  }

  /** RECORD: what has been announced and set up is there from now on. Rejects with a Refusal: 455, 503. */
  async publish(publication: Publication): Promise<void> {
    const { link, route } = publication;
    const now = routeAt(this.#context.paths.table, route.place);
    if (!now || isPulled(now)) throw new Refusal(503, 'the path has been changed');
    const open = this.#open.get(route.place);
    if (open instanceof PublishedResource) {
      checkTakeOver(now.config, open.publisher, link);
      if (open.fits(publication)) return open.take(publication);
      await open.end('something else is published now');
    }
    if (this.#all.size >= this.#context.limits.resources)
      throw new Refusal(503, 'too many resources are in use');
    const resource = new PublishedResource(this.#context, this, { ...now, url: route.url });
    this.#open.set(route.place, resource);
    this.#all.add(resource);
    return resource.take(publication);
  }

  /**
   * DESCRIBE at the source, for a URL as the viewer of that address names it.
   * @throws Refusal: the source's, admit's, or 404 for a path that is not ours.
   */
  async describe(
    viewer: RtspUrl,
    address: string,
    admit: Admit,
  ): Promise<{ route: Route; description: Description }> {
    const route = findRoute(this.#context.paths.table, viewer);
    if (!route) throw new Refusal(404, 'no path of the configuration has this name');
    await admit(route);
    return this.#describeAt(route, address);
  }

  async #describeAt(route: Route, address: string): Promise<{ route: Route; description: Description }> {
    const opens = !this.#open.has(route.place);
    if (opens && !this.#asking.enter(holderOf(address)))
      throw new Refusal(503, 'too much that this address has asked for is under way');
    try {
      const resource = this.at(route);
      const description = await this.use(resource, address, () => resource.describe());
      return { route: resource.route, description };
    } finally {
      if (opens) this.#asking.leave(holderOf(address));
    }
  }

  /**
   * What a URL in SETUP means. One that nobody has described, or not for long, is described now: first as a track of
   * the URL without its last segment, then as a resource. Servers may give two resources the same control URLs
   * (`/live?channel=1` and `=2`): `preferred` is then the one that is meant.
   * @throws Refusal: the source's, or 404.
   */
  async find(viewer: RtspUrl, address: string, admit: Admit, preferred?: Watched): Promise<Described> {
    const { described, clock, paths } = this.#context;
    const wanted = findRoute(paths.table, viewer)?.place ?? placeOf(viewer);
    const known = preferred?.meaning(wanted) ?? described.get(wanted, nowMs(clock));
    if (known) {
      await admit(known.route);
      return known;
    }
    let refusal = new Refusal(404, 'no track has this URL');
    for (const candidate of [parentOf(viewer), viewer]) {
      const route = candidate && findRoute(paths.table, candidate);
      if (!route) continue;
      await admit(route);
      try {
        await this.#describeAt(route, address);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        refusal = error;
        if (error.status >= 500) break; // the source itself, not the URL
        continue;
      }
      const found = described.get(wanted, nowMs(clock));
      if (found) return found;
    }
    throw refusal;
  }

  /** Half of the datapath's streams are for tracks that somebody has asked for. */
  hasSpare(): boolean {
    const tracks = [...this.#all].reduce((sum, resource) => sum + resource.tracks.size, 0);
    return tracks < this.#context.limits.resources;
  }

  leaving(resource: Watched, ended: Promise<void>): void {
    const { place } = resource.route;
    if (this.#open.get(place) === resource) this.#open.delete(place);
    if (resource.state !== 'ending') return; // it lives on for the viewers that it has
    const key = resource.recording?.own ? resource : place;
    const all = Promise.all([this.#ending.get(key), ended]).then(() => {
      this.#all.delete(resource);
      if (this.#ending.get(key) === all) this.#ending.delete(key);
    });
    this.#ending.set(key, all);
  }

  /** Ends every one; resolves when nothing is left of them. */
  async close(why: string): Promise<void> {
    for (const resource of this.#all) void resource.end(why);
    await Promise.all(this.#ending.values());
  }
}
