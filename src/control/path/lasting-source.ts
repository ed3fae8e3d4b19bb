// SPDX-License-Identifier: Apache-2.0
// The source of a resource as long as that lasts: its session, and what takes its place when it is lost while viewers are
// held, or when nothing comes by UDP and it is asked for TCP (docs/lifecycle.md: reconnecting).

import { transportFrom, type MediaTransport, type PulledRoute } from '../config/path-table.js';
import type { RtspResponse } from '../rtsp/message.js';
import type { RtspUrl } from '../rtsp/url.js';
import type { Context } from './context.js';
import { FirstPackets, packetsOf } from './first-packets.js';
import { Outage } from './outage.js';
import { Refusal } from './refusal.js';
import { renew, type Renewed } from './renew.js';
import { Renewal } from './renewal.js';
import type { SourcePlay } from './source-play.js';
import { othersThan, readSession, redirectOf, SourceSession } from './source-session.js';
import type { Track } from './track.js';

/** The resource's side. */
export interface LastingSourceParts {
  readonly path: string;
  readonly url: string;
  /** A reload may change what does not concern the source. */
  readonly route: () => PulledRoute;
  readonly tracks: Map<string, Track>;
  readonly play: SourcePlay;
  /** Sessions of viewers. */
  readonly viewers: () => number;
  /** It is wanted without a viewer as well. */
  readonly kept: () => boolean;
  /** It takes newcomers: only then those who are there are held. */
  readonly open: () => boolean;
  readonly ended: () => boolean;
  /** Something that the next process must know of has changed. */
  readonly changed: () => void;
  /** What it played has come to its end. */
  readonly finished: () => void;
  /** It is gone for good. */
  readonly gone: (why: string) => void;
}

export class LastingSource {
  session: SourceSession;
  /** How media is to come. */
  transport: MediaTransport;
  /** The Range of the last PLAY. */
  range: string | undefined;
  readonly #context: Context;
  readonly #parts: LastingSourceParts;
  readonly #firstPackets: FirstPackets;
  readonly #outage: Outage;
  /** Viewers are held while the source is asked anew. */
  #renewal: Renewal | undefined;
  /** Where the next attempt goes, if not to the first of the path's sources. */
  #next: RtspUrl | undefined;
  /** Where the source's own URLs have changed since viewers were told of them. */
  #renewed: Renewed | undefined;

  constructor(context: Context, parts: LastingSourceParts) {
    this.#context = context;
    this.#parts = parts;
    this.transport = transportFrom(parts.route());
    this.session = this.#newSession();
    this.#firstPackets = new FirstPackets(context, parts.tracks, () => this.#nothingCame());
    this.#outage = new Outage(context, () => packetsOf(parts.tracks));
  }

  get reconnecting(): boolean {
    return this.#renewal !== undefined;
  }

  /** It is as viewers were told from the beginning on. */
  get original(): boolean {
    return !this.#renewal && !this.#renewed;
  }

  /** The session's URL. */
  get aggregate(): string {
    return this.#renewed?.aggregate ?? this.#parts.play.description?.aggregate ?? this.#parts.url;
  }

  /** `control`: as it was when viewers were told. */
  controlNow(control: string): string {
    return this.#renewed?.controls.get(control) ?? control;
  }

  async setUp(control: string, transport: string): Promise<RtspResponse> {
    const answer = await this.session.setUp(control, transport);
    if (this.session.id !== undefined) return answer;
    const { id, timeoutSeconds } = readSession(answer);
    this.begun(id, timeoutSeconds);
    const { path: resource } = this.#parts;
    this.#context.log.info({ resource, source: this.session.address }, 'upstream session opened');
    return answer;
  }

  /** The session upstream is there. */
  begun(id: string, timeoutSeconds: number): void {
    const { tracks, play, finished } = this.#parts;
    this.session.begun(id, timeoutSeconds, {
      url: () => this.aggregate,
      tracks,
      playing: () => play.playing(tracks.values()),
      lost: (why) => this.#lost(new Refusal(504, why)),
      quiet: () => this.#nothingComes(),
      finished,
      recorded: () => play.description?.live === false,
      atEnd: () => play.isNearEnd(tracks.values()),
    });
  }

  /** It has agreed to play. */
  expectPackets(): void {
    this.#firstPackets.expect();
  }

  /** Nothing more is tried. */
  end(): void {
    this.#renewal?.cancel();
    this.#firstPackets.cancel();
    this.session.endKeepAlive();
  }

  /** From below: the source is gone. Viewers of a live one are held and it is asked anew; others are told and closed. */
  #lost(why: Refusal): void {
    const { path: resource, viewers, ended, route, gone } = this.#parts;
    if (ended() || this.#renewal) return;
    const held = this.#canRenew() && !this.#outage.isHopeless;
    if (viewers() > 0 || this.session.id !== undefined)
      this.#context.log.warn({ resource, viewers: viewers(), held, why: why.message }, 'the source is gone');
    this.session.close(why);
    this.#next = redirectOf(why, route().url) ?? this.#another();
    if (held) this.#renewLater(why);
    else gone(why.message);
  }

  #canRenew(): boolean {
    const { play, open, tracks, route, viewers, kept } = this.#parts;
    const isLive = play.description?.live === true;
    const isWanted = viewers() > 0 || kept();
    return isWanted && open() && play.playing(tracks.values()) && isLive && route().config.sourceHold > 0;
  }

  #renewLater(why: Refusal, holdMs = this.#parts.route().config.sourceHold): void {
    this.#firstPackets.cancel();
    this.#renewal = new Renewal(this.#context, {
      untilMs: this.#outage.begins(holdMs),
      backOff: this.#outage.backOff,
      attempt: () => this.#renew(),
      name: this.#parts.path,
      givenUp: (error) => this.#parts.gone(`${why.message}; ${error.message}`),
    });
  }

  async #renew(): Promise<void> {
    const { path: resource, play, tracks, ended, viewers, route, changed } = this.#parts;
    const source = (this.session = this.#newSession(this.#next));
    this.#next = undefined; // if it is not there the next attempt goes where it always was
    try {
      this.#renewed = await renew({
        source,
        description: play.description!,
        tracks,
        transport: this.transport,
        range: this.range,
        setUp: (control, transport) => this.setUp(control, transport),
        ended,
      });
    } catch (error) {
      if (this.transport === 'tcp' && error instanceof Refusal && error.status === 461)
        this.transport = transportFrom(route()) === 'tcp' ? 'tcp' : 'udp';
      this.#next = this.#another();
      // What is final of one source is not of the path.
      throw this.#next && error instanceof Refusal ? new Refusal(502, error.message) : error;
    }
    this.#renewal = undefined;
    this.#outage.ends();
    play.renewed();
    this.#context.log.info({ resource, viewers: viewers() }, 'the source is back');
    this.expectPackets();
    changed();
  }

  /** The path's source that stands in for the present one. */
  #another(): RtspUrl | undefined {
    return othersThan(this.#parts.route(), this.session.at)[0];
  }

  #newSession(at?: RtspUrl): SourceSession {
    const session: SourceSession = new SourceSession(
      this.#context,
      this.#parts.route(),
      (why) => {
        if (this.session === session) this.#lost(why);
      },
      at,
    );
    return session;
  }

  /** UDP is not let through, it seems: the source is asked anew, for TCP. */
  #nothingCame(): void {
    const { path: resource, viewers, kept, route } = this.#parts;
    if (this.transport !== 'auto' || (viewers() === 0 && !kept())) return;
    this.transport = 'tcp';
    this.#context.log.warn({ resource }, 'nothing came by UDP: the source is asked for TCP');
    this.#next = this.session.at;
    this.#endAndRenew(
      new Refusal(504, 'nothing came from the source by UDP'),
      Math.max(route().config.sourceHold, this.#context.limits.requestMs),
    );
  }

  /** It answers, but what it sent has stopped. Viewers who cannot be held may as well wait. */
  #nothingComes(): void {
    if (!this.#canRenew()) return;
    const { path: resource, viewers } = this.#parts;
    this.#context.log.warn(
      { resource, viewers: viewers() },
      'the source sends nothing any more: it is asked anew',
    );
    this.#next = this.#another();
    this.#endAndRenew(new Refusal(504, 'the source sent nothing any more'));
  }

  #endAndRenew(why: Refusal, holdMs?: number): void {
    const { session } = this;
    void session.tearDown(this.aggregate).then(() => session.close(why));
    this.#renewLater(why, holdMs);
  }
}
