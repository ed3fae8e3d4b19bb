// SPDX-License-Identifier: Apache-2.0
// The tracks of a resource at its source: each is set up there once, by whoever asks first, and is known by the control URL
// that the source called it by at that time. Before the source plays those are set up, too, that nobody has asked for yet
// (adr/0035).

import { Shared } from '../state/shared.js';
import type { Context } from './context.js';
import type { Description, MediaDescription } from './description.js';
import type { LastingSource } from './lasting-source.js';
import { openBeside } from './own-track.js';
import { isAboutOne, Refusal } from './refusal.js';
import { sectionBefore } from './renew.js';
import type { SourcePlay } from './source-play.js';
import { openTrack, type Track } from './track.js';
import type { ViewerTrack } from './viewer-track.js';

/** Picture and sound: of each resource the datapath has room for so many. */
const FEW = 2;

/** The resource's side. */
export interface SourceTracksParts {
  readonly path: string;
  readonly source: LastingSource;
  readonly play: SourcePlay;
  /** Set up upstream, by control URL. */
  readonly tracks: Map<string, Track>;
  /** What changes the upstream session goes one after the other. */
  readonly inTurn: <T>(step: () => Promise<T>) => Promise<T>;
  /** One viewer's: nobody else can suffer for it. */
  readonly own: () => boolean;
  /** There is room for tracks that nobody has asked for. */
  readonly hasSpare: () => boolean;
  readonly ended: () => boolean;
  /** Something that the next process must know of has changed. */
  readonly changed: () => void;
}

export class SourceTracks {
  readonly #context: Context;
  readonly #parts: SourceTracksParts;
  readonly #openings = new Shared<Track>();
  /** What could not be set up, by control URL. */
  readonly #refused = new Map<string, Refusal>();

  constructor(context: Context, parts: SourceTracksParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /**
   * Who asks while it is being set up gets the same track or the same refusal. `former`: of another resource, that a viewer
   * leaves for it.
   */
  setUp(description: Description, media: MediaDescription, former?: ViewerTrack): Promise<Track> {
    const { tracks, inTurn } = this.#parts;
    const { control } = this.#asSetUp(description, media);
    const track = tracks.get(control);
    if (track) return Promise.resolve(track);
    return this.#openings.run(control, () => inTurn(() => this.#setUp(description, media, former)));
  }

  async #setUp(description: Description, media: MediaDescription, former?: ViewerTrack): Promise<Track> {
    const { tracks, play } = this.#parts;
    if (tracks.size === 0) play.description = description;
    const section = this.#asSetUp(description, media);
    const { control } = section;
    const track = tracks.get(control);
    if (track) return track;
    // mediamtx ends the connection over a SETUP while it plays.
    if (this.#plays && !this.#parts.own())
      throw this.#refused.get(control) ?? new Refusal(503, 'the source plays without that track');
    return this.#open(section, former).catch((error: Error) => {
      if (error instanceof Refusal) this.#refused.set(control, error);
      throw error;
    });
  }

  get #plays(): boolean {
    return this.#parts.play.playing(this.#parts.tracks.values());
  }

  /**
   * What viewers may come to want, before the source plays for them. In turn. The tracks that they have set up are all that
   * matters: whatever is refused beyond is left out.
   */
  async setUpSpare(): Promise<void> {
    const { play, tracks, hasSpare } = this.#parts;
    if (!this.#plays) await this.#setUpRest(play.description!, () => tracks.size < FEW || hasSpare());
  }

  /** All that viewers may come to want, unless the source plays. In turn. Rejects with a Refusal. */
  async setUpAll(description: Description): Promise<void> {
    if (this.#plays) return;
    this.#refused.clear();
    const refusal = await this.#setUpRest(description, () => true);
    if (refusal) throw refusal;
    const [first] = this.#refused.values();
    if (this.#parts.tracks.size === 0)
      throw first ?? new Refusal(502, 'the source describes nothing to watch');
  }

  /** Resolves with the refusal that ends the asking early. */
  async #setUpRest(description: Description, isRoom: () => boolean): Promise<Refusal | undefined> {
    const { path: resource, tracks } = this.#parts;
    for (const media of worthSettingUp(description)) {
      const { control } = this.#asSetUp(description, media);
      if (tracks.has(control) || this.#refused.has(control)) continue;
      if (!isRoom()) return undefined;
      try {
        await this.#setUp(description, media);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        const { message: why } = error;
        this.#context.log.info({ resource, media: media.media, why }, 'a track is not to be had');
        if (!isAboutOne(error)) return error;
      }
    }
    return undefined;
  }

  /** The section as it was called when tracks were first set up. A source asked anew, or another one, may call it otherwise. */
  #asSetUp(description: Description, media: MediaDescription): MediaDescription {
    const { tracks, play } = this.#parts;
    const before = tracks.size > 0 ? play.description : undefined;
    return (before && sectionBefore(before, description, media)) ?? media;
  }

  async #open(media: MediaDescription, former?: ViewerTrack): Promise<Track> {
    const { path, source, tracks, ended, changed } = this.#parts;
    if (tracks.size >= this.#context.limits.tracksPerResource)
      throw new Refusal(503, 'the resource has too many tracks set up');
    const wanted = {
      ...{ media, transport: source.transport, frames: source.session.upstream },
      setUp: (transport: string) => source.setUp(source.controlNow(media.control), transport),
      ends: () => source.session.upstream.ends!,
    };
    const parts = { media, name: `${path} ${media.media}` };
    const track = await (former
      ? openBeside(this.#context, parts, wanted, former)
      : openTrack(this.#context, parts, wanted));
    if (ended()) {
      track.close();
      throw new Refusal(503, 'the source went away');
    }
    tracks.set(media.control, track);
    if (track.interleaved) source.transport = 'tcp'; // servers do not like both in one session
    changed();
    return track;
  }
}

/** Of several sections one that has no URL of its own cannot be told from the resource. */
function worthSettingUp({ media, aggregate }: Description): MediaDescription[] {
  return media.filter(({ watchable, control }) => watchable && (control !== aggregate || media.length === 1));
}
