// SPDX-License-Identifier: Apache-2.0
// The tracks of a resource at its source: each is set up there once, by whoever asks first, and is known by the control URL
// that the source called it by at that time.

import { Shared } from '../state/shared.js';
import type { Context } from './context.js';
import type { Description, MediaDescription } from './description.js';
import type { LastingSource } from './lasting-source.js';
import { openBeside } from './own-track.js';
import { Refusal } from './refusal.js';
import { sectionBefore } from './renew.js';
import type { SourcePlay } from './source-play.js';
import { openTrack, type Track } from './track.js';
import type { ViewerTrack } from './viewer-track.js';

/** The resource's side. */
export interface SourceTracksParts {
  readonly path: string;
  readonly source: LastingSource;
  readonly play: SourcePlay;
  /** Set up upstream, by control URL. */
  readonly tracks: Map<string, Track>;
  /** What changes the upstream session goes one after the other. */
  readonly inTurn: <T>(step: () => Promise<T>) => Promise<T>;
  readonly ended: () => boolean;
  /** Something that the next process must know of has changed. */
  readonly changed: () => void;
}

export class SourceTracks {
  readonly #context: Context;
  readonly #parts: SourceTracksParts;
  readonly #openings = new Shared<Track>();

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
    return tracks.get(section.control) ?? this.#open(section, former);
  }

  /** The section as it was called when tracks were first set up: a source that is asked anew, or another one, may call it otherwise. */
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
