// SPDX-License-Identifier: Apache-2.0
// One resource of the source while anybody wants it: one upstream connection and at most one upstream session. Its life
// goes one way, as docs/lifecycle.md draws it: connecting, ready, playing, ending. What comes next is another Resource.

import type { PulledRoute } from '../config/path-table.js';
import { formatRtspUrl } from '../rtsp/url.js';
import { ChurnSet } from '../state/churn.js';
import type { Deadline } from '../state/deadlines.js';
import { Shared } from '../state/shared.js';
import { isoTime, nowMs, type Context } from './context.js';
import type { Described, Description, MediaDescription } from './description.js';
import { LastingSource } from './lasting-source.js';
import { meaningOf, remember } from './places.js';
import { Recording } from './recording.js';
import type { ResourceRecord } from './records.js';
import { Refusal } from './refusal.js';
import { resourceRecord, restoreTracks } from './resource-record.js';
import type { Session } from './session.js';
import { SourcePlay, type PlayAnswer, type PlayWish } from './source-play.js';
import { SourceTracks } from './source-tracks.js';
import type { Track } from './track.js';
import type { ViewerTrack } from './viewer-track.js';
import type { Watched } from './watched.js';

/** The registry's side of a resource (resources.ts). */
export interface ResourceOwner {
  /** It takes no newcomers any more; `ended` resolves when nothing is left of it. */
  leaving(resource: Watched, ended: Promise<void>): void;
  /** There is room for tracks that nobody has asked for. */
  hasSpare(): boolean;
}

/** What plays is known: nobody waits long for a source that does not like to be asked meanwhile, nor is it lost by that. */
const DESCRIBED_AGAIN = { optional: true, withinMs: 2000 };
/** It is not for us any more, or not there. */
const ABOUT_WHAT_IS_ASKED_FOR = [401, 403, 404, 410];

export class Resource implements Watched {
  /** What it is served under, and where it comes from. A reload may change what does not concern the source. */
  route: PulledRoute;
  /** Upstream URL. */
  readonly url: string;
  /** Path and query as viewers name it, for people. */
  readonly path: string;
  since: string;
  readonly sessions = new ChurnSet<Session>();
  /** Set up upstream, by control URL. */
  readonly tracks = new Map<string, Track>();
  readonly #context: Context;
  readonly #owner: ResourceOwner;
  readonly #after: Promise<void>;
  readonly #source: LastingSource;
  readonly #play: SourcePlay;
  readonly #recording: Recording;
  readonly #sourceTracks: SourceTracks;
  readonly #describing = new Shared<Description>();
  #turn: Promise<unknown> = Promise.resolve();
  #describeFailed = false;
  #users = 0;
  #linger: Deadline | undefined;
  #ending = false;
  /** It plays without a viewer, too. */
  #kept = 0;
  /** It has ended, or takes no newcomers. */
  readonly #over: Promise<void>;
  #isOver!: () => void;
  /** It takes no newcomers. */
  #left = false;
  /** Its key in the notebook. */
  #noted: string | undefined;

  /**
   * Nothing is sent before `after`: the end of the one before it, so that a camera never sees two sessions. `own`: of one
   * viewer, who leaves another resource for it.
   */
  constructor(
    context: Context,
    owner: ResourceOwner,
    route: PulledRoute,
    { after = Promise.resolve(), own = false }: { readonly after?: Promise<void>; readonly own?: boolean },
  ) {
    this.#context = context;
    this.#owner = owner;
    this.route = route;
    this.url = formatRtspUrl(route.url);
    this.path = route.place || '/';
    this.#after = after;
    this.since = isoTime(context.clock.wallMs());
    this.#over = new Promise((resolve) => (this.#isOver = resolve));
    this.#play = new SourcePlay(context);
    const { tracks } = this;
    const isAlone = () => this.sessions.size === 1 && this.#users <= 1;
    const parts = { play: this.#play, tracks, isAlone, leave: () => this.#leave() };
    this.#recording = new Recording(context, parts, own);
    this.#left = own;
    this.#source = new LastingSource(context, {
      path: this.path,
      url: this.url,
      route: () => this.route,
      tracks,
      play: this.#play,
      viewers: () => this.sessions.size,
      kept: () => this.#kept > 0,
      open: () => !this.#left,
      ended: () => this.#ending,
      changed: () => this.#note(),
      finished: () => this.#finished(),
      gone: (why) => void this.end(why),
    });
    this.#sourceTracks = new SourceTracks(context, {
      path: this.path,
      source: this.#source,
      play: this.#play,
      tracks,
      inTurn: (step) => this.#inTurn(step),
      own: () => this.#recording.own,
      hasSpare: () => owner.hasSpare(),
      ended: () => this.#ending,
      changed: () => this.#note(),
    });
  }

  get state(): 'connecting' | 'ready' | 'playing' | 'reconnecting' | 'ending' {
    if (this.#ending) return 'ending';
    if (this.#source.reconnecting) return 'reconnecting';
    if (this.#play.playing(this.tracks.values())) return 'playing';
    return this.#source.session.id === undefined ? 'connecting' : 'ready';
  }

  get recording(): Recording | undefined {
    const isOne = this.#play.description?.live === false || this.#recording.own;
    return isOne ? this.#recording : undefined;
  }

  /** `address:port` of the source, its name until it is connected. */
  get address(): string {
    return this.#source.session.address;
  }

  get subflows(): number | undefined {
    return this.#source.session.upstream.subflows;
  }

  get unused(): boolean {
    return !this.#ending && this.#users === 0 && this.sessions.size === 0;
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

  /**
   * Plays all that can be had of it, without a viewer as well, until the promise resolves. Resolves when that is over, or the
   * resource is; rejects with a Refusal where nothing can be had.
   */
  keep(until: Promise<void>): Promise<void> {
    return this.use(async () => {
      this.#kept++;
      try {
        const description = await this.describe();
        await this.#inTurn(async () => {
          await this.#sourceTracks.setUpAll(description);
          if (![...this.tracks.values()].every(({ started }) => started)) await this.#playAtSource({});
        });
        await Promise.race([until, this.#over]);
      } finally {
        this.#kept--;
      }
    });
  }

  /** Ends what nobody needs: a session upstream at once, a connection without one after a while. */
  checkUse(): void {
    if (!this.unused) return;
    this.#linger?.cancel();
    if (this.#source.session.id !== undefined || this.#describeFailed) void this.end('nobody watches');
    else
      this.#linger = this.#context.deadlines.in(this.#context.limits.lingerMs, () => void this.end('unused'));
  }

  /** Asks the source each time; who asks while an answer is awaited gets that one. */
  describe(): Promise<Description> {
    const ask = () => this.#context.troubles.about(this.route, this.#kept > 0, () => this.#describe());
    return this.#describing.run('', ask);
  }

  async #describe(): Promise<Description> {
    if (this.#source.reconnecting && this.#play.description) return this.#play.description;
    await this.#after;
    this.#describeFailed = true;
    const known = this.state === 'playing' ? this.#play.description : undefined;
    const patience = known ? DESCRIBED_AGAIN : {};
    const { session } = this.#source;
    const description = await session.describe({ passesOn: true, ...patience }).catch((error: Error) => {
      if (known && !this.#ending && error instanceof Refusal && isAboutAsking(error)) return known;
      throw error;
    });
    this.#describeFailed = false;
    return remember(this.#context.described, this.route, description, nowMs(this.#context.clock));
  }

  /** What a place (places.ts) means by the description that the tracks were set up from. */
  meaning(place: string): Described | undefined {
    const { description } = this.#play;
    return description && meaningOf(this.route, description, place);
  }

  /** The track, set up upstream by whoever asks first. `former`: of another resource, that a viewer leaves for it. */
  setUp(description: Description, media: MediaDescription, former?: ViewerTrack): Promise<Track> {
    return this.#sourceTracks.setUp(description, media, former);
  }

  /** The name of its held connection to the source, where there is a session upstream to go on with. */
  get link(): string | undefined {
    const lasts = this.#source.session.id !== undefined && !this.#ending && this.#source.original;
    // Feeders end with us, and of ports that two tracks have the next process would get one.
    const ends = [...this.tracks.values()].some(({ interleaved, borrows }) => interleaved || borrows);
    return lasts && !ends ? this.#source.session.upstream.hold() : undefined;
  }

  /** For the next process, after each change. */
  #note(): void {
    const record = resourceRecord(this, this.#source.session, this.#play, this.#left);
    if (!record) return;
    this.#noted = `resource/${record.link}`;
    this.#context.notebook.put(this.#noted, record);
  }

  /** Goes on with what a former process has begun. Rejects with a Refusal when a part of it is gone. */
  async restore(record: ResourceRecord, cseq: number): Promise<void> {
    this.#noted = `resource/${record.link}`;
    this.since = record.since;
    if (!this.#source.session.upstream.restore(record.link, cseq))
      throw new Refusal(503, 'its connection to the source is gone');
    await restoreTracks(this.#context, this, record, this.#play);
    this.#source.begun(record.sessionId, record.timeoutSeconds);
    if (record.left) this.#leave();
    if (record.start) this.#recording.started();
    this.#note();
  }

  /**
   * Sees to it that the source plays the session's tracks, which get copies already: asks it where it does not yet, or where
   * it is the viewer's own and is to play something else, and answers from what it knows otherwise. `added` are those of
   * the session's that get copies only since just now.
   */
  play(session: Session, added: readonly ViewerTrack[], wish: PlayWish): Promise<PlayAnswer> {
    const viewers = [...session.tracks.values()];
    const { own } = this.#recording;
    const anew = own && (wish.range !== undefined || wish.scale !== undefined);
    return this.#play.start(viewers, added, anew, () =>
      this.#inTurn(async () => {
        if (anew) return this.#playAnew(wish);
        if (viewers.every(({ track }) => track.started)) return;
        if (!own) await this.#sourceTracks.setUpSpare();
        // With others in the session a Range would move them, too.
        const isAlone = this.sessions.size === 1 && this.#kept === 0;
        await this.#playAtSource({ range: isAlone ? wish.range : undefined });
      }),
    );
  }

  /** A PLAY would wait until what plays has ended (RFC 2326 10.5), so it is stopped first; and goes on if it is refused. */
  async #playAnew(wish: PlayWish): Promise<void> {
    const stopped = await this.#stopAtSource();
    try {
      await this.#playAtSource(wish);
    } catch (error) {
      if (stopped && error instanceof Refusal) await this.#playAtSource({}).catch(() => undefined);
      throw error;
    }
  }

  async #playAtSource(wish: PlayWish): Promise<void> {
    const wanted = [...this.tracks.values()];
    this.#source.range = wish.range;
    const answer = await this.#source.session.play(this.#source.aggregate, wish);
    this.#play.started(answer, wanted);
    this.#recording.started();
    this.#source.expectPackets();
    this.#note();
    await this.#play.settled();
  }

  /** False: it does not play, or goes on. */
  async #stopAtSource(): Promise<boolean> {
    const { session, aggregate } = this.#source;
    const plays = this.#play.playing(this.tracks.values());
    if (!plays || !(await session.pause(aggregate, this.path))) return false;
    this.#play.stopped(this.tracks.values());
    this.#note();
    return true;
  }

  pause(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#recording.own) await this.#stopAtSource();
    });
  }

  /** A clip has ended. Its viewers know (BYE) and may start it again; newcomers begin a session of their own. */
  #finished(): void {
    for (const track of this.tracks.values()) track.sayGoodbye();
    this.#play.stopped(this.tracks.values());
    this.#context.log.info({ resource: this.path }, 'the source has ended what it played');
    this.#leave();
    this.#note();
  }

  #leave(): void {
    this.#left = true;
    this.#isOver();
    this.#owner.leaving(this, Promise.resolve());
  }

  /** From above or below, once: viewers out, TEARDOWN where the source still listens, then ports and connection. */
  async end(why: string): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    this.#isOver();
    this.#linger?.cancel();
    this.#source.end();
    const ended = this.#release(why);
    this.#owner.leaving(this, ended);
    await ended;
  }

  async #release(why: string): Promise<void> {
    for (const session of [...this.sessions]) session.evict(why);
    for (const track of this.tracks.values()) track.stop();
    const teardown = await this.#source.session.tearDown(this.#source.aggregate);
    if (teardown !== undefined)
      this.#context.log.info({ resource: this.path, why, teardown }, 'upstream session closed');
    for (const track of this.tracks.values()) track.close();
    this.tracks.clear();
    if (this.#noted !== undefined) this.#context.notebook.remove(this.#noted);
    this.#source.session.close();
  }

  /** What changes the upstream session goes one after the other. */
  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(async () => {
      await this.#after;
      if (this.#ending) throw new Refusal(503, 'the source went away');
      if (this.#source.reconnecting) throw new Refusal(503, 'the source is being asked anew');
      return step();
    });
    this.#turn = run.catch(() => undefined);
    return run;
  }
}

/**
 * The source refuses to be asked now, as gst-rtsp-server does where not all tracks are set up; that says nothing of what it has
 * described before. Redirects are passed on.
 */
function isAboutAsking({ status }: Refusal): boolean {
  return status >= 400 && !ABOUT_WHAT_IS_ASKED_FOR.includes(status);
}
