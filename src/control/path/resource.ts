// SPDX-License-Identifier: Apache-2.0
// One resource of the source while anybody wants it: one upstream connection and at most one upstream session. Its life
// goes one way, as docs/lifecycle.md draws it: connecting, ready, playing, ending. What comes next is another Resource.

import type { Route } from '../config/path-table.js';
import type { RtspResponse } from '../rtsp/message.js';
import { parseSession, DEFAULT_SESSION_TIMEOUT } from '../rtsp/session.js';
import { RtspError } from '../rtsp/errors.js';
import { credentialsOf, formatRtspUrl } from '../rtsp/url.js';
import { endpointText } from '../state/address.js';
import type { Deadline } from '../state/deadlines.js';
import { isoTime, nowMs, type Context } from './context.js';
import {
  descriptionOf,
  readDescription,
  type Described,
  type Description,
  type MediaDescription,
} from './description.js';
import { KeepAlive } from './keep-alive.js';
import { placesOf } from './places.js';
import type { ResourceRecord } from './records.js';
import { Refusal, refusedBySource } from './refusal.js';
import type { Session } from './session.js';
import { SourcePlay, type PlayAnswer } from './source-play.js';
import { openTrack, restoreTrack, type Track } from './track.js';
import { inSession, Upstream, type UpstreamTarget } from './upstream.js';
import type { ViewerTrack } from './viewer-track.js';

/** The registry's side of a resource (resources.ts). */
export interface ResourceOwner {
  /** It takes no newcomers any more; `ended` resolves when nothing is left of it. */
  leaving(resource: Resource, ended: Promise<void>): void;
}

function targetOf({ url, config }: Route): UpstreamTarget {
  return { url, credentials: credentialsOf(config.source.url) };
}

export class Resource {
  /** What it is served under, and where it comes from. A reload may change what does not concern the source. */
  route: Route;
  /** Upstream URL. */
  readonly url: string;
  /** Path and query as viewers name it, for people. */
  readonly path: string;
  since: string;
  readonly sessions = new Set<Session>();
  /** Set up upstream, by control URL. */
  readonly tracks = new Map<string, Track>();
  readonly #context: Context;
  readonly #owner: ResourceOwner;
  readonly #after: Promise<void>;
  readonly #upstream: Upstream;
  readonly #play: SourcePlay;
  readonly #openings = new Map<string, Promise<Track>>();
  #describing: Promise<Description> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #sessionId: string | undefined;
  #timeoutSeconds = DEFAULT_SESSION_TIMEOUT;
  #keepAlive: KeepAlive | undefined;
  #describeFailed = false;
  #users = 0;
  #linger: Deadline | undefined;
  #ending = false;
  /** It takes no newcomers. */
  #left = false;
  /** Its key in the notebook. */
  #noted: string | undefined;

  /** Nothing is sent before `after`: the end of the one before it, so that the source never sees two sessions. */
  constructor(context: Context, owner: ResourceOwner, route: Route, after: Promise<void>) {
    this.#context = context;
    this.#owner = owner;
    this.route = route;
    this.url = formatRtspUrl(route.url);
    this.path = route.place || '/';
    this.#after = after;
    this.since = isoTime(context.clock.wallMs());
    this.#upstream = new Upstream(context, targetOf(route), (why) => this.#lost(why));
    this.#play = new SourcePlay(context);
  }

  get state(): 'connecting' | 'ready' | 'playing' | 'ending' {
    if (this.#ending) return 'ending';
    if (this.#play.playing(this.tracks.values())) return 'playing';
    return this.#sessionId === undefined ? 'connecting' : 'ready';
  }

  /** `address:port` of the source, its name until it is connected. */
  get address(): string {
    const { host, port } = this.route.url;
    const remote = this.#upstream.ends?.remote;
    return remote ? endpointText(remote.address, remote.port) : endpointText(host, port);
  }

  /** Keeps the resource while `work` is under way: it cannot end for want of viewers. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    this.#users++;
    this.#linger?.cancel();
    try {
      return await work();
    } finally {
      this.#users--;
      this.checkUse();
    }
  }

  /** Ends what nobody needs: a session upstream at once, a connection without one after a while. */
  checkUse(): void {
    if (this.#ending || this.#users > 0 || this.sessions.size > 0) return;
    this.#linger?.cancel();
    if (this.#sessionId !== undefined || this.#describeFailed) void this.end('nobody watches');
    else
      this.#linger = this.#context.deadlines.in(this.#context.limits.lingerMs, () => void this.end('unused'));
  }

  /** Asks the source each time; who asks while an answer is awaited gets that one. */
  describe(): Promise<Description> {
    this.#describing ??= this.#describe().finally(() => {
      this.#describing = undefined;
    });
    return this.#describing;
  }

  async #describe(): Promise<Description> {
    await this.#after;
    this.#describeFailed = true;
    const answer = await this.#upstream.request('DESCRIBE', this.url, [['Accept', 'application/sdp']]);
    if (answer.status !== 200) throw refusedBySource(this.#context.paths.table, 'DESCRIBE', answer);
    const description = readDescription(this.url, answer);
    this.#describeFailed = false;
    const now = nowMs(this.#context.clock);
    for (const [place, described] of placesOf(this.route, description))
      this.#context.described.set(place, described, now);
    return description;
  }

  /** What a place (places.ts) means by the description that the tracks were set up from. */
  meaning(place: string): Described | undefined {
    const { description } = this.#play;
    return description && new Map(placesOf(this.route, description)).get(place);
  }

  /** The track, set up upstream by whoever asks first; who asks meanwhile gets the same track or the same refusal. */
  setUp(description: Description, media: MediaDescription): Promise<Track> {
    const { control } = media;
    const track = this.tracks.get(control);
    if (track) return Promise.resolve(track);
    let opening = this.#openings.get(control);
    if (!opening) {
      opening = this.#inTurn(() => this.#open(description, media)).finally(() =>
        this.#openings.delete(control),
      );
      this.#openings.set(control, opening);
    }
    return opening;
  }

  async #open(description: Description, media: MediaDescription): Promise<Track> {
    if (this.tracks.size >= this.#context.limits.tracksPerResource)
      throw new Refusal(503, 'the resource has too many tracks set up');
    this.#play.description ??= description;
    const track = await openTrack(this.#context, {
      media,
      name: `${this.path} ${media.media}`,
      setUp: (transport) => this.#setUpAtSource(media.control, transport),
      ends: () => this.#upstream.ends!,
    });
    if (this.#ending) {
      track.close();
      throw new Refusal(503, 'the source went away');
    }
    this.tracks.set(media.control, track);
    this.#note();
    return track;
  }

  /** The name of its held connection to the source, where there is a session upstream to go on with. */
  get link(): string | undefined {
    return this.#sessionId === undefined || this.#ending ? undefined : this.#upstream.hold();
  }

  /** For the next process, after each change. */
  #note(): void {
    const { link, url, path, since } = this;
    const { description } = this.#play;
    if (link === undefined || this.#sessionId === undefined || !description) return;
    this.#noted = `resource/${link}`;
    const record: ResourceRecord = {
      ...{ url, path, since, link, sessionId: this.#sessionId, timeoutSeconds: this.#timeoutSeconds },
      ...{ sdp: description.sdp, base: description.base, left: this.#left },
      start: this.#play.record,
      tracks: [...this.tracks.values()].map((track) => track.record),
    };
    this.#context.notebook.put(this.#noted, record);
  }

  /** Goes on with what a former process has begun. Rejects with a Refusal when a part of it is gone. */
  async restore(record: ResourceRecord, cseq: number): Promise<void> {
    this.#noted = `resource/${record.link}`;
    this.since = record.since;
    this.#sessionId = record.sessionId;
    this.#timeoutSeconds = record.timeoutSeconds;
    const description = descriptionOf(record.sdp, record.base);
    this.#play.description = description;
    if (!this.#upstream.restore(record.link, cseq))
      throw new Refusal(503, 'its connection to the source is gone');
    for (const part of record.tracks) {
      const media = description.media.find(({ control }) => control === part.control);
      if (!media) throw new Refusal(503, 'its description does not fit');
      const name = `${this.path} ${media.media}`;
      this.tracks.set(media.control, await restoreTrack(this.#context, { media, name }, part));
    }
    if (record.start) this.#play.restore(record.start, this.tracks);
    this.#keepAlive = this.#beginKeepAlive(record.sessionId);
    if (record.left) this.#leave();
    this.#note();
  }

  async #setUpAtSource(control: string, transport: string): Promise<RtspResponse> {
    const answer = await this.#upstream.request('SETUP', control, [
      ['Transport', transport],
      ...this.#session(),
    ]);
    if (answer.status !== 200) throw refusedBySource(this.#context.paths.table, 'SETUP', answer);
    if (this.#sessionId === undefined) this.#beginSession(answer);
    return answer;
  }

  #beginSession(answer: RtspResponse): void {
    try {
      const { id, timeout } = parseSession(answer.headers.get('Session') ?? '');
      this.#sessionId = id;
      this.#timeoutSeconds = timeout ?? DEFAULT_SESSION_TIMEOUT;
    } catch (error) {
      if (error instanceof RtspError) throw new Refusal(502, 'the source opened no session');
      throw error;
    }
    this.#keepAlive = this.#beginKeepAlive(this.#sessionId);
    this.#context.log.info({ resource: this.path, source: this.address }, 'upstream session opened');
  }

  /**
   * Sees to it that the source plays the session's tracks, which get copies already: asks it where it does not yet,
   * and answers from what it knows where it does. `added` are those of the session's that get copies only since just now.
   */
  play(session: Session, added: readonly ViewerTrack[], range: string | undefined): Promise<PlayAnswer> {
    const viewers = [...session.tracks.values()];
    return this.#play.start(viewers, added, () =>
      this.#inTurn(async () => {
        const wanted = [...this.tracks.values()];
        if (viewers.every(({ track }) => track.started)) return;
        // With others in the session a Range would move them, too.
        const headers: [string, string][] =
          range !== undefined && this.sessions.size === 1 ? [['Range', range]] : [];
        const answer = await this.#upstream.request('PLAY', this.#aggregate, [
          ...this.#session(),
          ...headers,
        ]);
        if (answer.status !== 200) throw refusedBySource(this.#context.paths.table, 'PLAY', answer);
        this.#play.started(answer, wanted);
        this.#note();
      }),
    );
  }

  /** Stops the source where nobody else is in its session and it can be stopped. The viewer gets no copies already. */
  pause(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.sessions.size > 1 || this.#play.description?.live !== false) return;
      if (!this.#play.playing(this.tracks.values())) return;
      const answer = await this.#upstream.request('PAUSE', this.#aggregate, this.#session());
      if (answer.status === 200) {
        this.#play.stopped(this.tracks.values());
        this.#note();
      } else
        this.#context.log.info({ resource: this.path, status: answer.status }, 'the source does not pause');
    });
  }

  #beginKeepAlive(sessionId: string): KeepAlive {
    return new KeepAlive(this.#context, {
      upstream: this.#upstream,
      url: this.#aggregate,
      sessionId,
      timeoutSeconds: this.#timeoutSeconds,
      tracks: this.tracks,
      playing: () => this.#play.playing(this.tracks.values()),
      silent: () => this.#lost(new Refusal(504, 'the source has sent nothing for too long')),
      finished: () => this.#finished(),
    });
  }

  /** A clip has ended. Its viewers know (BYE) and may start it again; newcomers begin a session of their own. */
  #finished(): void {
    this.#play.stopped(this.tracks.values());
    this.#context.log.info({ resource: this.path }, 'the source has ended what it played');
    this.#leave();
    this.#note();
  }

  #leave(): void {
    this.#left = true;
    this.#owner.leaving(this, Promise.resolve());
  }

  /** From below: the source is gone. Viewers are told and closed, nothing is left. */
  #lost(why: Refusal): void {
    if (this.#ending) return;
    const viewers = this.sessions.size;
    if (viewers > 0 || this.#sessionId !== undefined)
      this.#context.log.warn({ resource: this.path, viewers, why: why.message }, 'the source is gone');
    this.#upstream.close(why);
    void this.end(why.message);
  }

  /** From above or below, once: viewers out, TEARDOWN where the source still listens, then ports and connection. */
  async end(why: string): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    this.#linger?.cancel();
    this.#keepAlive?.close();
    const ended = this.#release(why);
    this.#owner.leaving(this, ended);
    await ended;
  }

  async #release(why: string): Promise<void> {
    for (const session of [...this.sessions]) session.evict(why);
    for (const track of this.tracks.values()) track.stop();
    if (this.#sessionId !== undefined && !this.#upstream.closed) await this.#tearDown(why);
    for (const track of this.tracks.values()) track.close();
    this.tracks.clear();
    if (this.#noted !== undefined) this.#context.notebook.remove(this.#noted);
    this.#upstream.close();
  }

  async #tearDown(why: string): Promise<void> {
    const { log, limits } = this.#context;
    const withinMs = limits.teardownMs;
    const answer = this.#upstream.request('TEARDOWN', this.#aggregate, this.#session(), { withinMs });
    const status = await answer.then(
      ({ status }) => status,
      (error: Error) => error.message,
    );
    log.info({ resource: this.path, why, teardown: status }, 'upstream session closed');
  }

  /** What changes the upstream session goes one after the other. */
  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(async () => {
      await this.#after;
      if (this.#ending) throw new Refusal(503, 'the source went away');
      return step();
    });
    this.#turn = run.catch(() => undefined);
    return run;
  }

  get #aggregate(): string {
    return this.#play.description?.aggregate ?? this.url;
  }

  #session(): (readonly [string, string])[] {
    return this.#sessionId === undefined ? [] : [inSession(this.#sessionId)];
  }
}
