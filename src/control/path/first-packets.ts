// SPDX-License-Identifier: Apache-2.0
// Whether anything arrives after PLAY: where UDP is not let through, RTSP goes well and no packet ever comes.

import type { Deadline } from '../state/deadlines.js';
import type { Context } from './context.js';
import type { Track } from './track.js';

export class FirstPackets {
  readonly #context: Context;
  readonly #tracks: ReadonlyMap<string, Track>;
  readonly #none: () => void;
  #deadline: Deadline | undefined;

  /** `none` is called when no track has had a packet within `firstPacketMs` of expect(). */
  constructor(context: Context, tracks: ReadonlyMap<string, Track>, none: () => void) {
    this.#context = context;
    this.#tracks = tracks;
    this.#none = none;
  }

  expect(): void {
    this.cancel();
    const before = this.#count();
    this.#deadline = this.#context.deadlines.in(this.#context.limits.firstPacketMs, () => {
      if (this.#count() === before) this.#none();
    });
  }

  cancel(): void {
    this.#deadline?.cancel();
  }

  #count(): number {
    return [...this.#tracks.values()].reduce((sum, { stream }) => sum + stream.counters().packets, 0);
  }
}
