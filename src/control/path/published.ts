// SPDX-License-Identifier: Apache-2.0
// A resource that a publisher brings (RFC 2326 10.3, 10.11), while it does so or viewers are held for it: what viewers see
// of it is what they see of any other (watched.ts).

import type { Route } from '../config/path-table.js';
import { response } from '../rtsp/message.js';
import { endpointText } from '../state/address.js';
import { ChurnSet } from '../state/churn.js';
import type { Deadline } from '../state/deadlines.js';
import { isoTime, nowMs, type Context } from './context.js';
import type { Described, Description, MediaDescription } from './description.js';
import { meaningOf, remember } from './places.js';
import type { Publication, Recorded } from './publication.js';
import type { Arranged } from './publisher-transport.js';
import { Refusal } from './refusal.js';
import { FROM_PICTURE, sameSections } from './renew.js';
import type { ResourceOwner } from './resource.js';
import type { Session } from './session.js';
import { SourcePlay, type PlayAnswer } from './source-play.js';
import { bindPair } from './source-transport.js';
import { checkTakeOver } from './take-over.js';
import { openArrived, type Track } from './track.js';
import type { ViewerTrack } from './viewer-track.js';
import type { Watched } from './watched.js';

export class PublishedResource implements Watched, Recorded {
  route: Route;
  readonly path: string;
  readonly since: string;
  readonly link = undefined;
  /** Its publisher keeps it. */
  readonly unused = false;
  readonly sessions = new ChurnSet<Session>();
  /** By the control URL of the description that the first publisher has announced. */
  readonly tracks = new Map<string, Track>();
  readonly #context: Context;
  readonly #owner: ResourceOwner;
  readonly #play: SourcePlay;
  #publication: Publication | undefined;
  /** Of the last publisher. */
  #address = '';
  /** While viewers wait for another publisher. */
  #hold: Deadline | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #ending = false;

  constructor(context: Context, owner: ResourceOwner, route: Route) {
    this.#context = context;
    this.#owner = owner;
    this.route = route;
    this.path = route.place || '/';
    this.since = isoTime(context.clock.wallMs());
    this.#play = new SourcePlay(context);
  }

  get state(): 'connecting' | 'playing' | 'reconnecting' | 'ending' {
    if (this.#ending) return 'ending';
    if (this.#publication) return 'playing';
    return this.#play.description ? 'reconnecting' : 'connecting';
  }

  get address(): string {
    return this.#address;
  }

  get publisher(): Publication | undefined {
    return this.#publication;
  }

  /** Whether viewers who are there would not notice: the same tracks by media and codec, all of them. */
  fits({ description }: Publication): boolean {
    const before = this.#play.description;
    if (!before) return true;
    const { length } = description.media;
    return before.media.length === length && sameSections(before, description).size === length;
  }

  /**
   * RECORD: from now on it comes from this publisher, which has set all tracks up, and fits. Rejects with a Refusal, 455
   * where that may not be, and has closed what was arranged then.
   */
  take(publication: Publication): Promise<void> {
    return this.#inTurn(async () => {
      checkTakeOver(this.route.config, this.#publication, publication.link);
      if (publication.closed) throw new Refusal(454, 'the publisher is gone');
      if (!this.fits(publication)) throw new Refusal(455, 'somebody else has come first with something else');
      const former = this.#publication;
      this.#publication = undefined; // so that it does not matter here that it ends
      former?.evict('another publisher has taken its place');
      this.#hold?.cancel();
      const { address, port } = publication.link.remote;
      this.#address = endpointText(address, port);
      this.#publication = publication;
      await this.#takeTracks(publication);
    }).catch((error: Error) => {
      if (this.#publication === publication) publication.close(error.message);
      else if (!this.#publication && !this.#hold) void this.end(error.message);
      throw error;
    });
  }

  async #takeTracks(publication: Publication): Promise<void> {
    const { description } = publication;
    const before = this.#play.description;
    const arranged = new Map(publication.record(this));
    const now = before && sameSections(before, description);
    try {
      for (const media of before?.media ?? description.media) {
        const control = now?.get(media.control)?.control ?? media.control;
        const way = arranged.get(control);
        if (!way) throw new Refusal(455, 'not all tracks that were announced have been set up');
        arranged.delete(control); // renew() and openArrived() take it over
        await this.#takeTrack(media, way);
      }
    } finally {
      for (const { arrival } of arranged.values()) {
        arrival.feeder?.close();
        arrival.upstream.close();
      }
    }
    if (publication.closed) throw new Refusal(454, 'the publisher is gone');
    this.#begin(before, description);
  }

  async #takeTrack(media: MediaDescription, { arrival }: Arranged): Promise<void> {
    const track = this.tracks.get(media.control);
    if (track) return track.renew(async () => arrival, FROM_PICTURE);
    const downstream = await bindPair(this.#context).catch((error: Error) => {
      arrival.feeder?.close();
      arrival.upstream.close();
      throw error;
    });
    const name = `${this.path} ${media.media}`;
    const opened = await openArrived(this.#context, { media, name }, arrival, downstream);
    if (this.#ending) {
      opened.close();
      throw new Refusal(503, 'the path has been changed');
    }
    this.tracks.set(media.control, opened);
  }

  /** Newcomers are told the new description where its URLs mean the tracks that there are. */
  #begin(before: Description | undefined, now: Description): void {
    const isSame = before?.media.every(({ control }, i) => control === now.media[i]?.control) ?? true;
    // Live, whatever it says: there is no other end than the publisher's.
    if (isSame) this.#play.description = { ...now, live: true, range: undefined };
    this.#play.started(response(200), [...this.tracks.values()]);
  }

  heard(now: number): number {
    return Math.max(...[...this.tracks.values()].map((track) => track.heard(now)));
  }

  /** Viewers are held, hearing nothing of it any more, as long as those of a lost source. */
  gone(publication: Publication, why: string): void {
    if (this.#publication !== publication || this.#ending) return;
    this.#publication = undefined;
    const { sourceHold } = this.route.config;
    if (this.sessions.size === 0 || sourceHold === 0 || !this.#play.description) {
      void this.end(why);
      return;
    }
    const { path: resource, sessions } = this;
    this.#context.log.warn(
      { resource, viewers: sessions.size, why },
      'the publisher is gone: viewers are held',
    );
    this.#hold = this.#context.deadlines.in(sourceHold, () => void this.end('nobody publishes any more'));
    this.#inTurn(() => this.#silence()).catch((error: Error) => void this.end(error.message));
  }

  /** Whatever the former publisher still sends, nobody gets it: the tracks hear pairs that only we could send to. */
  async #silence(): Promise<void> {
    if (this.#publication) return;
    for (const track of this.tracks.values())
      await track.renew(async (context) => {
        const upstream = await bindPair(context);
        const { rtpPort, rtcpPort } = upstream;
        const reportTo = { address: LOOPBACK, port: 0 }; // nobody
        const source = { address: LOOPBACK, rtpPort, rtcpPort, ssrc: undefined, reportTo };
        return { upstream, localAddress: LOOPBACK, source };
      });
  }

  use<T>(work: () => Promise<T>): Promise<T> {
    return work(); // it lives as long as its publisher
  }

  checkUse(): void {
    if (!this.#publication && this.#hold && this.sessions.size === 0) void this.end('nobody waits any more');
  }

  async describe(): Promise<Description> {
    const { description } = this.#play;
    if (!description) throw new Refusal(404, 'nobody publishes there yet');
    return remember(this.#context.described, this.route, description, nowMs(this.#context.clock));
  }

  meaning(place: string): Described | undefined {
    const { description } = this.#play;
    return description && meaningOf(this.route, description, place);
  }

  async setUp(_description: Description, { control }: MediaDescription): Promise<Track> {
    const track = this.#play.description && this.tracks.get(control);
    if (!track) throw new Refusal(404, 'the publisher sends no such track');
    return track;
  }

  play(session: Session, added: readonly ViewerTrack[]): Promise<PlayAnswer> {
    return this.#play.start([...session.tracks.values()], added, false, async () => {
      throw new Refusal(503, 'the publisher has not begun');
    });
  }

  async pause(): Promise<void> {} // it goes on for others, and nobody can stop a publisher

  /** From above or below, once: viewers and publisher out, then ports. */
  async end(why: string): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    this.#hold?.cancel();
    this.#publication?.evict(why);
    for (const session of [...this.sessions]) session.evict(why);
    for (const track of this.tracks.values()) track.close();
    this.tracks.clear();
    this.#owner.leaving(this, Promise.resolve());
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(() => {
      if (this.#ending) throw new Refusal(503, 'the path has been changed');
      return step();
    });
    this.#turn = run.catch(() => undefined);
    return run;
  }
}

const LOOPBACK = '127.0.0.1';
