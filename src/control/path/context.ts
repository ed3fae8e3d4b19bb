// SPDX-License-Identifier: Apache-2.0
// What all parts of the stories share: the ports, the limits and the tables. One per proxy, made by proxy.ts.

import type { RtspUrl } from '../rtsp/url.js';
import type { Deadlines } from '../state/deadlines.js';
import type { Destinations } from '../state/destinations.js';
import type { ExpiringLru } from '../state/expiring-lru.js';
import type { Limits } from '../state/limits.js';
import type { SessionTable } from '../state/session-table.js';
import type { Tally } from '../state/tally.js';
import type { Described } from './description.js';
import type { BindUdpPair, Clock, ConnectSource, Datapath, Log, Random, ViewerLink } from './ports.js';
import type { Session } from './session.js';
import type { ViewerTrack } from './viewer-track.js';

export interface Context {
  /** The source's server, and the resource that our root stands for. Without credentials. */
  readonly source: RtspUrl;
  readonly datapath: Datapath;
  readonly connect: ConnectSource;
  readonly bindUdpPair: BindUdpPair;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  readonly refused: Tally;
  readonly sessions: SessionTable<Session>;
  /** The sessions that depend on each viewer's connection. */
  readonly links: Map<ViewerLink, Set<Session>>;
  readonly destinations: Destinations<ViewerTrack>;
  /** What control URLs mean, by their place (url-map.ts). */
  readonly described: ExpiringLru<Described>;
  /** The CNAME in RTCP packets of ours (RFC 7022 4.2: random, so that it tells nobody anything). */
  readonly cname: string;
  /** Next ViewerSpec.id. */
  nextViewerId(): number;
}

export function nowMs(clock: Clock): number {
  return Number(clock.monotonicNs() / 1_000_000n);
}

export function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
