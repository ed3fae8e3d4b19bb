// SPDX-License-Identifier: Apache-2.0
// The resources that somebody wants at the moment, by upstream URL, and the way from a control URL to its track.

import { formatRtspUrl, type RtspUrl } from '../rtsp/url.js';
import { nowMs, type Context } from './context.js';
import type { Described, Description } from './description.js';
import { Refusal } from './refusal.js';
import { Resource, type ResourceOwner } from './resource.js';
import { parentOf, placeOf, sourceUrl } from './url-map.js';

export class Resources implements ResourceOwner {
  readonly #context: Context;
  readonly #open = new Map<string, Resource>();
  readonly #all = new Set<Resource>();
  readonly #ending = new Map<string, Promise<void>>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** Those that are ending, too. */
  get all(): ReadonlySet<Resource> {
    return this.#all;
  }

  /**
   * The resource at this upstream URL. It must be used (Resource.use) before the caller awaits anything.
   * @throws Refusal 503 when there are too many already.
   */
  at(url: string, path: string): Resource {
    const open = this.#open.get(url);
    if (open) return open;
    if (this.#all.size >= this.#context.limits.resources)
      throw new Refusal(503, 'too many resources are in use');
    const resource = new Resource(this.#context, this, url, path, this.#ending.get(url) ?? Promise.resolve());
    this.#open.set(url, resource);
    this.#all.add(resource);
    return resource;
  }

  /** DESCRIBE at the source, for a URL as the viewer names it. */
  describe(viewer: RtspUrl): Promise<Description> {
    const url = sourceUrl(this.#context.source, viewer);
    const resource = this.at(formatRtspUrl(url), placeOf(url) || '/');
    return resource.use(() => resource.describe());
  }

  /**
   * What a URL in SETUP means. One that nobody has described, or not for long, is described now: first as a track of
   * the URL without its last segment, then as a resource. Servers may give two resources the same control URLs
   * (`/live?channel=1` and `=2`): `preferred` is then the one that is meant.
   * @throws Refusal: the source's, or 404.
   */
  async find(viewer: RtspUrl, preferred?: Resource): Promise<Described> {
    const { described, clock, source } = this.#context;
    const wanted = placeOf(sourceUrl(source, viewer));
    const known = preferred?.meaning(wanted) ?? described.get(wanted, nowMs(clock));
    if (known) return known;
    let refusal = new Refusal(404, 'no track has this URL');
    for (const candidate of [parentOf(viewer), viewer]) {
      if (!candidate) continue;
      try {
        await this.describe(candidate);
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

  leaving(resource: Resource, ended: Promise<void>): void {
    const { url } = resource;
    if (this.#open.get(url) === resource) this.#open.delete(url);
    if (resource.state !== 'ending') return; // it lives on for the viewers that it has
    const all = Promise.all([this.#ending.get(url), ended]).then(() => {
      this.#all.delete(resource);
      if (this.#ending.get(url) === all) this.#ending.delete(url);
    });
    this.#ending.set(url, all);
  }

  /** Ends every one; resolves when nothing is left of them. */
  async close(why: string): Promise<void> {
    for (const resource of this.#all) void resource.end(why);
    await Promise.all(this.#ending.values());
  }
}
