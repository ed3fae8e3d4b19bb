// SPDX-License-Identifier: Apache-2.0
// One session of one viewer: tracks of one resource, played and paused together. It ends with TEARDOWN, with the last
// connection that used it, with silence, with its source, or by order; in each case once, through close().

import { buildGoodbye } from '../rtcp/build.js';
import { formatSession } from '../rtsp/session.js';
import type { Deadline } from '../state/deadlines.js';
import { isoTime, nowMs, type Context } from './context.js';
import type { ViewerLink } from './ports.js';
import { Refusal } from './refusal.js';
import type { SessionRecord } from './records.js';
import type { Watched } from './watched.js';
import type { Track } from './track.js';
import type { ViewerTrack } from './viewer-track.js';

export class Session {
  readonly id: string;
  readonly number: number;
  #resource: Watched;
  /** Media goes to this address and no other; requests count from it only. */
  readonly address: string;
  readonly port: number;
  /** Our address as the viewer knows it. */
  readonly localAddress: string;
  readonly since: string;
  /** By upstream control URL. */
  readonly tracks = new Map<string, ViewerTrack>();
  readonly #context: Context;
  readonly #links = new Set<ViewerLink>();
  #heardMs: number;
  #takenBefore = 0;
  #expiry: Deadline;
  #state: 'ready' | 'playing' | 'paused' = 'ready';
  #closed = false;
  /** Where in a recording it was when it paused last: normal play time, seconds. */
  pausedAt: number | undefined;

  /** It depends on no connection yet: see usedBy(). */
  constructor(
    context: Context,
    id: string,
    number: number,
    resource: Watched,
    from: Pick<ViewerLink, 'remote' | 'local'>,
    since = isoTime(context.clock.wallMs()),
  ) {
    this.#context = context;
    this.id = id;
    this.number = number;
    this.#resource = resource;
    this.address = from.remote.address;
    this.port = from.remote.port;
    this.localAddress = from.local.address;
    this.since = since;
    this.#heardMs = nowMs(context.clock);
    this.#expiry = this.#watch(context.limits.sessionMs);
    resource.sessions.add(this);
  }

  get resource(): Watched {
    return this.#resource;
  }

  /** Its tracks come from another session of the same source now. It gets no copies until it is started. */
  moveTo(resource: Watched, tracks: ReadonlyMap<ViewerTrack, Track>): void {
    this.stop();
    this.tracks.clear();
    for (const [viewer, track] of tracks) {
      viewer.moveTo(track);
      this.tracks.set(track.media.control, viewer);
    }
    this.#resource.sessions.delete(this);
    this.#resource.checkUse();
    this.#resource = resource;
    resource.sessions.add(this);
    this.#context.notebook.remove(`session/${this.id}`);
    this.note();
  }

  get state(): 'ready' | 'playing' | 'paused' {
    return this.#state;
  }

  set state(state: 'ready' | 'playing' | 'paused') {
    this.#state = state;
    this.note();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The Session header of answers (RFC 2326 12.37). */
  get header(): string {
    return formatSession({ id: this.id, timeout: Math.ceil(this.#context.limits.sessionMs / 1000) });
  }

  /** Paths of its connection, where that is MPTCP. */
  get subflows(): number | undefined {
    return [...this.#links].find(({ subflows }) => subflows !== undefined)?.subflows;
  }

  /** A request or RTCP came from the viewer. */
  heard(): void {
    this.#heardMs = nowMs(this.#context.clock);
  }

  /** The session lives as long as one of the connections that have used it. */
  usedBy(link: ViewerLink): void {
    if (this.#links.has(link)) return;
    this.#links.add(link);
    this.#context.links.get(link)?.add(this);
    this.note();
  }

  /** For the next process, after each change. */
  note(): void {
    if ([...this.tracks.values()].some(({ group, link }) => group ?? link)) {
      this.#context.notebook.remove(`session/${this.id}`); // groups are not taken over, nor half a frame
      return;
    }
    const { id, number, address, port, localAddress, since, state } = this;
    const links = [...this.#links].flatMap((link) => link.hold() ?? []);
    const resource = this.resource.link;
    if (this.#closed || links.length === 0 || resource === undefined) return;
    const tracks = [...this.tracks.values()].map((track) => track.record);
    const record: SessionRecord = {
      ...{ id, number, address, port, localAddress, since, state, resource, links, tracks },
    };
    this.#context.notebook.put(`session/${id}`, record);
  }

  linkClosed(link: ViewerLink): void {
    this.#links.delete(link);
    const isItsWay = [...this.tracks.values()].some((track) => track.link === link);
    if (this.#links.size === 0 || isItsWay) this.close('its connection was closed');
    else this.note();
  }

  /** Bytes that were taken for it on connections with its packets: who reads them is there, whatever it says. */
  get #taken(): number {
    const links = new Set([...this.tracks.values()].flatMap(({ link }) => link ?? []));
    return [...links].reduce((sum, { taken }) => sum + taken, 0);
  }

  /** One look per expiry, not one timer per sign of life. */
  #watch(ms: number): Deadline {
    return this.#context.deadlines.in(ms, () => {
      const taken = this.#taken;
      if (taken > this.#takenBefore) this.heard();
      this.#takenBefore = taken;
      const left = this.#heardMs + this.#context.limits.sessionMs - nowMs(this.#context.clock);
      if (left > 0) this.#expiry = this.#watch(left);
      else this.evict('nothing was heard of the viewer');
    });
  }

  /** Resolves with those that get copies only now; when it rejects, none of those does. */
  start(): Promise<ViewerTrack[]> {
    return this.#start([...this.tracks.values()]);
  }

  /** Those that got copies in a former process get them again. */
  async resume(): Promise<void> {
    await this.#start([...this.tracks.values()].filter((track) => track.wasServed));
  }

  async #start(tracks: readonly ViewerTrack[]): Promise<ViewerTrack[]> {
    const idle = tracks.filter((track) => track.servedBy === undefined);
    const added = await Promise.allSettled(idle.map((track) => track.start()));
    const failed = added.find((result) => result.status === 'rejected');
    if (!failed) return idle;
    for (const track of idle) track.stop();
    const { message } = failed.reason as Error;
    throw new Refusal(503, `the datapath refused the viewer: ${message}`);
  }

  stop(): void {
    for (const track of this.tracks.values()) track.stop();
  }

  /** From the viewer's side. When this has returned nothing is sent to it any more and nothing is kept of it. */
  close(why: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#context.notebook.remove(`session/${this.id}`);
    this.#expiry.cancel();
    for (const track of this.tracks.values()) track.close();
    for (const link of this.#links) this.#context.links.get(link)?.delete(this);
    this.#context.sessions.remove(this);
    this.resource.sessions.delete(this);
    this.resource.checkUse();
    const { number: viewer, address, port } = this;
    this.#context.log.info({ viewer, address, port, resource: this.resource.path, why }, 'viewer left');
  }

  /** From our side: the viewer is told by an RTCP BYE in the source's name and by the end of its connection. */
  evict(why: string): void {
    if (this.#closed) return;
    if (this.state === 'playing') this.#sayGoodbye();
    const links = [...this.#links];
    this.close(why);
    // Another session of the same connection goes on.
    for (const link of links) if (!this.#context.links.get(link)?.size) link.close();
  }

  #sayGoodbye(): void {
    for (const viewer of this.tracks.values()) {
      viewer.stop();
      const { ssrc } = viewer.track;
      if (ssrc !== undefined) viewer.sayGoodbye(buildGoodbye(ssrc, this.#context.cname));
    }
  }
}
