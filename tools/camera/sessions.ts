// SPDX-License-Identifier: Apache-2.0
// The camera's RTSP sessions (RFC 2326 chapter 3, A.2): which tracks of which path go where, and when each ends.

import { randomBytes } from 'node:crypto';

import type { Destination, LiveTrack } from './live-track.js';
import type { LiveSource } from './live-source.js';

export const SESSION_TIMEOUT = 60; // s
const MAX_SESSIONS = 1000;

export interface Session {
  readonly id: string;
  readonly source: LiveSource;
  readonly destinations: Map<LiveTrack, Destination>;
  playing: boolean;
  /** ms of performance.now() */
  seenAt: number;
}

/** `event` is a method's name in lower case, or `timeout`; the rest says whose and what. */
export type Notify = (event: string, facts: Readonly<Record<string, string | number>>) => void;

export class Sessions {
  readonly #byId = new Map<string, Session>();

  constructor(readonly notify: Notify) {}

  /** Undefined when there are too many. */
  create(source: LiveSource): Session | undefined {
    if (this.#byId.size >= MAX_SESSIONS) return undefined;
    const id = randomBytes(8).toString('hex');
    const session = { id, source, destinations: new Map(), playing: false, seenAt: performance.now() };
    this.#byId.set(id, session);
    return session;
  }

  /** That session, if there is one; asking for it keeps it alive. */
  find(id: string): Session | undefined {
    const session = this.#byId.get(id);
    if (session) session.seenAt = performance.now();
    return session;
  }

  play(session: Session): void {
    if (!session.playing) session.source.add(session.destinations);
    session.playing = true;
  }

  pause(session: Session): void {
    session.source.remove(session.destinations);
    session.playing = false;
  }

  end(session: Session): void {
    this.pause(session);
    this.#byId.delete(session.id);
  }

  /** A receiver report, or anything else on an RTCP port, is a sign of life. */
  hear(address: string, rtcpPort: number): void {
    for (const session of this.#byId.values())
      for (const destination of session.destinations.values())
        if (destination.rtcpPort === rtcpPort && destination.address === address)
          session.seenAt = performance.now();
  }

  /** @param now ms of performance.now() */
  expire(now: number): void {
    const limit = now - SESSION_TIMEOUT * 1000;
    for (const session of this.#byId.values()) {
      if (session.seenAt > limit) continue;
      this.end(session);
      this.notify('timeout', { session: session.id, path: session.source.path });
    }
  }
}
