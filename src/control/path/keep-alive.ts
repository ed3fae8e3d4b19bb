// SPDX-License-Identifier: Apache-2.0
// Keeps an upstream session alive, and notices that its source is not: requests at intervals (RFC 2326 12.37, 10.8),
// and once a second a look at when the source was last heard.

import type { Deadline } from '../state/deadlines.js';
import { nowMs, type Context } from './context.js';
import type { Track } from './track.js';
import { inSession, type Upstream } from './upstream.js';

/** How often the source's signs of life are looked at, and how long without media after its BYE, its last picture or its 454
 * what it sent counts as ended. */
const LOOK_MS = 1000;
/** The first request waits until the SETUPs and the PLAY of a quick viewer are through: not every server pipelines. */
const FIRST_MS = 1000;
const QUIET_MS = 2000;

export interface KeepAliveParts {
  readonly upstream: Upstream;
  readonly url: () => string;
  readonly sessionId: string;
  /** The source's session timeout, seconds. */
  readonly timeoutSeconds: number;
  readonly tracks: ReadonlyMap<string, Track>;
  readonly playing: () => boolean;
  /** Neither RTSP nor RTP nor RTCP for `sourceSilenceMs`, or it does not know the session any more. */
  readonly lost: (why: string) => void;
  /** It answers, but of the sound and pictures that came nothing has come for `sourceSilenceMs`, nor RTCP. */
  readonly quiet: () => void;
  /** It has an end, and what came last is that end, or nearly. */
  readonly atEnd: () => boolean;
  /** Recorded: it may end. */
  readonly recorded: () => boolean;
  /** All that plays has ended: with BYE, at its end, or nothing has come of a recording for `sourceSilenceMs`. */
  readonly finished: () => void;
}

export class KeepAlive {
  readonly #context: Context;
  readonly #parts: KeepAliveParts;
  readonly #intervalMs: number;
  #method: 'OPTIONS' | 'GET_PARAMETER' = 'OPTIONS';
  #request: Deadline;
  #look: Deadline;
  /** Since when it says that it does not know the session. */
  #unknownSinceMs = Infinity;
  /** RTP of sound and pictures that had come before this session. */
  readonly #packetsBefore: number;

  /** The first request asks which methods there are. */
  constructor(context: Context, parts: KeepAliveParts) {
    this.#context = context;
    this.#parts = parts;
    this.#packetsBefore = this.#packets;
    this.#intervalMs = Math.min((parts.timeoutSeconds * 1000) / 2, context.limits.keepAliveMs);
    this.#request = this.#askIn(Math.min(FIRST_MS, this.#intervalMs));
    this.#look = this.#lookLater();
  }

  close(): void {
    this.#request.cancel();
    this.#look.cancel();
  }

  /** Some cameras never answer GET_PARAMETER, so no answer is no fault as long as media comes. */
  #ask(): void {
    const { upstream, url, sessionId } = this.#parts;
    upstream.request(this.#method, url(), [inSession(sessionId)], { optional: true }).then(
      ({ status, headers }) => {
        if (status === 454) this.#unknownSinceMs = Math.min(this.#unknownSinceMs, nowMs(this.#context.clock));
        const methods = headers.get('Public');
        if (methods !== undefined)
          this.#method = /\bGET_PARAMETER\b/.test(methods) ? 'GET_PARAMETER' : 'OPTIONS';
      },
      () => undefined, // a lost connection is told to the resource by the connection itself
    );
    this.#request = this.#askIn(this.#intervalMs);
  }

  #askIn(ms: number): Deadline {
    return this.#context.deadlines.in(ms, () => this.#ask());
  }

  #lookLater(): Deadline {
    return this.#context.deadlines.in(LOOK_MS, () => {
      this.#look = this.#lookLater();
      this.#lookAtSource();
    });
  }

  /** Events of metadata come when something happens: nobody misses them. */
  get #packets(): number {
    return [...this.#parts.tracks.values()]
      .filter(({ media }) => media.media === 'video' || media.media === 'audio')
      .reduce((sum, { stream }) => sum + stream.counters().packets, 0);
  }

  #lookAtSource(): void {
    const { upstream, tracks, playing, lost, quiet, finished, atEnd, recorded } = this.#parts;
    const { sourceSilenceMs } = this.#context.limits;
    const now = nowMs(this.#context.clock);
    const all = [...tracks.values()];
    const mediaMs = Math.max(...all.map((track) => track.heard(now)));
    const watched = all.filter(({ viewers }) => viewers.size > 0);
    const relevant = watched.length > 0 ? watched : all; // what nobody wants may never say BYE
    const quietMs = Math.min(...relevant.map((track) => track.quietMs(now)));
    const stopped =
      relevant.every((track) => track.finished(now, QUIET_MS)) ||
      (recorded() && (quietMs >= sourceSilenceMs || (quietMs >= QUIET_MS && atEnd())));
    if (now - Math.max(upstream.heardMs, mediaMs) >= sourceSilenceMs)
      return lost('the source has sent nothing for too long');
    if (!playing()) return;
    if (stopped) return finished();
    if (this.#packets === this.#packetsBefore) return;
    // Some say so and play on: what they say then means nothing.
    const isUnknown = mediaMs <= this.#unknownSinceMs + LOOK_MS && this.#unknownSinceMs < Infinity;
    if (isUnknown && now - mediaMs >= QUIET_MS) lost('the source does not know the session any more');
    else if (now - mediaMs >= sourceSilenceMs && !recorded()) quiet();
  }
}
