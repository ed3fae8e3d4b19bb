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
    const before = packetsOf(this.#tracks);
    this.#deadline = this.#context.deadlines.in(this.#context.limits.firstPacketMs, () => {
      if (packetsOf(this.#tracks) === before) this.#none();
    });
  }

  cancel(): void {
    this.#deadline?.cancel();
  }
}

/** RTP that has come, of all tracks. */
export function packetsOf(tracks: ReadonlyMap<string, Track>): number {
  return [...tracks.values()].reduce((sum, { stream }) => sum + stream.counters().packets, 0);
}
