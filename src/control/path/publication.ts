// SPDX-License-Identifier: Apache-2.0
// What one RTSP connection publishes (RFC 2326 10.3, 10.11): announced, its tracks set up one by one, then recorded, which
// makes it the source of a resource (published.ts). It ends with TEARDOWN, with its connection, with silence, with what it
// is the source of, or by order; in each case once, through close().

import type { Route } from '../config/path-table.js';
import { formatSession } from '../rtsp/session.js';
import type { Deadline } from '../state/deadlines.js';
import { isoTime, nowMs, type Context } from './context.js';
import type { Description } from './description.js';
import type { ViewerLink } from './ports.js';
import { PublisherFrames } from './publisher-frames.js';
import type { Arranged } from './publisher-transport.js';
import type { Track } from './track.js';

/** What it is the source of. */
export interface Recorded {
  readonly tracks: ReadonlyMap<string, Track>;
  /** When RTP or RTCP came last, monotonic milliseconds. */
  heard(now: number): number;
  /** It has ended. */
  gone(publication: Publication, why: string): void;
}

/** How often signs of life are looked for. */
const LOOK_MS = 1000;

export class Publication {
  readonly id: string;
  readonly number: number;
  readonly link: ViewerLink;
  /** With the URL as the publisher names it. */
  readonly route: Route;
  readonly description: Description;
  readonly since: string;
  readonly frames: PublisherFrames;
  /** By control URL; those that are recorded are the resource's. */
  readonly arranged = new Map<string, Arranged>();
  state: 'announced' | 'ready' | 'publishing' | 'paused' = 'announced';
  readonly #context: Context;
  #recorded: Recorded | undefined;
  #heardMs: number;
  #look: Deadline;
  #closed = false;

  constructor(context: Context, link: ViewerLink, route: Route, description: Description) {
    this.#context = context;
    this.id = context.sessions.newId();
    this.number = context.sessions.newNumber();
    this.link = link;
    this.route = route;
    this.description = description;
    this.since = isoTime(context.clock.wallMs());
    this.frames = new PublisherFrames(link, context.limits.interleavedBytes);
    this.#heardMs = nowMs(context.clock);
    this.#look = this.#lookLater();
    context.publications.add(this);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Undefined before RECORD. */
  get recorded(): Recorded | undefined {
    return this.#recorded;
  }

  /** The Session header of answers (RFC 2326 12.37). */
  get header(): string {
    return formatSession({ id: this.id, timeout: Math.ceil(this.#context.limits.sessionMs / 1000) });
  }

  get path(): string {
    return this.route.place || '/';
  }

  /** A request came. */
  heard(): void {
    this.#heardMs = nowMs(this.#context.clock);
  }

  /** A track is set up, or set up anew. */
  arrange(control: string, arranged: Arranged): void {
    this.arranged.set(control, arranged);
    this.state = 'ready';
  }

  /** The way of a track that is to be set up anew; what it had is closed. */
  forget(control: string): void {
    const former = this.arranged.get(control);
    if (!former) return;
    if (former.channels) this.frames.forget(...former.channels);
    close(former);
    this.arranged.delete(control);
  }

  /** RECORD: what has been arranged is the resource's from now on. */
  record(recorded: Recorded): ReadonlyMap<string, Arranged> {
    this.#recorded = recorded;
    this.state = 'publishing';
    const { number: publisher, path: resource } = this;
    const { address, port } = this.link.remote;
    this.#context.log.info({ publisher, address, port, resource }, 'publisher came');
    const taken = new Map(this.arranged);
    this.arranged.clear();
    return taken;
  }

  /** From the publisher's side, or because another has taken its place. Nothing of it goes anywhere any more. */
  close(why: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#look.cancel();
    this.frames.close();
    for (const arranged of this.arranged.values()) close(arranged);
    this.arranged.clear();
    this.#context.publications.remove(this);
    this.#recorded?.gone(this, why);
    const { number: publisher, path: resource } = this;
    const { address, port } = this.link.remote;
    if (this.#recorded) this.#context.log.info({ publisher, address, port, resource, why }, 'publisher left');
  }

  /** From our side: it is told by the end of its connection. */
  evict(why: string): void {
    if (this.#closed) return;
    this.close(why);
    this.link.close();
  }

  #lookLater(): Deadline {
    const { deadlines, clock, limits } = this.#context;
    return deadlines.in(LOOK_MS, () => {
      const now = nowMs(clock);
      const heard = Math.max(this.#heardMs, this.#recorded?.heard(now) ?? 0);
      if (now - heard >= limits.sessionMs) this.evict('nothing was heard of the publisher');
      else this.#look = this.#lookLater();
    });
  }
}

function close({ arrival }: Arranged): void {
  arrival.feeder?.close();
  arrival.upstream.close();
}
