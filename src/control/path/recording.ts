// SPDX-License-Identifier: Apache-2.0
// What a resource that has an end (a file, not a camera) can do beyond a live one: belong to a single viewer, who then
// controls it (RFC 2326 10.5, 10.6), and tell where it is.

import { isNpt } from '../rtsp/range.js';
import { nowMs, type Context } from './context.js';
import type { SourcePlay } from './source-play.js';
import type { Track } from './track.js';

export interface RecordingParts {
  readonly play: SourcePlay;
  readonly tracks: ReadonlyMap<string, Track>;
  /** One viewer is there and nobody is coming. */
  readonly isAlone: () => boolean;
  /** It takes no newcomers any more. */
  readonly leave: () => void;
}

export class Recording {
  readonly #context: Context;
  readonly #parts: RecordingParts;
  #own: boolean;
  #startedMs: number | undefined;

  constructor(context: Context, parts: RecordingParts, own: boolean) {
    this.#context = context;
    this.#parts = parts;
    this.#own = own;
  }

  /** It is one viewer's. */
  get own(): boolean {
    return this.#own;
  }

  /** It becomes that of the viewer who is there, where that is the only one. False: others are there. */
  becomeOwn(): boolean {
    if (this.#own) return true;
    if (!this.#parts.isAlone()) return false;
    this.#own = true;
    this.leave();
    return true;
  }

  /** Newcomers do not join it any more. */
  leave(): void {
    this.#parts.leave();
  }

  /** Normal play time (RFC 2326 3.6) that is being sent, seconds; undefined: nobody can tell. */
  get position(): number | undefined {
    return this.#parts.play.position(this.#parts.tracks.values());
  }

  /** Normal play time at which it ends, seconds; undefined: its time is another one (RFC 2326 3.5, 3.7). */
  get end(): number | undefined {
    const range = this.#parts.play.description?.range;
    return range && isNpt(range) ? range.end : undefined;
  }

  started(): void {
    this.#startedMs ??= nowMs(this.#context.clock);
  }

  /** Milliseconds since it was first played; undefined: it was not. */
  get ageMs(): number | undefined {
    return this.#startedMs === undefined ? undefined : nowMs(this.#context.clock) - this.#startedMs;
  }
}
