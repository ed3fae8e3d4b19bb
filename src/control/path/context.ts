// SPDX-License-Identifier: Apache-2.0
// What all parts of the stories share: the ports, the limits and the tables. One per proxy, made by proxy.ts.

import type { PathTable } from '../config/path-table.js';
import type { Channels } from '../state/channels.js';
import type { Deadlines } from '../state/deadlines.js';
import type { Destinations } from '../state/destinations.js';
import type { ExpiringLru } from '../state/expiring-lru.js';
import type { Gate } from '../state/gate.js';
import type { Limits } from '../state/limits.js';
import type { MulticastAddresses } from '../state/multicast-addresses.js';
import type { SessionTable } from '../state/session-table.js';
import type { Tally } from '../state/tally.js';
import type { Described } from './description.js';
import type { AskHook } from './hook-port.js';
import type {
  BindUdpPair,
  Clock,
  ConnectSource,
  Datapath,
  DeviceFor,
  FormerSockets,
  JoinGroup,
  Log,
  Notebook,
  Random,
  ViewerLink,
} from './ports.js';
import type { Publications } from './publications.js';
import type { SentTotals } from './sent-totals.js';
import type { Session } from './session.js';
import type { Troubles } from './troubles.js';
import type { ViewerTrack } from './viewer-track.js';

export interface Context {
  /** What viewers may ask for; `table` is another one after a reload. */
  readonly paths: { table: PathTable };
  readonly datapath: Datapath;
  readonly connect: ConnectSource;
  readonly bindUdpPair: BindUdpPair;
  readonly joinGroup: JoinGroup;
  readonly deviceFor: DeviceFor;
  readonly askHook: AskHook;
  /** How viewers are served by multicast; undefined: they are not. */
  readonly multicast: MulticastService | undefined;
  readonly former: FormerSockets;
  readonly notebook: Notebook;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  /** Of those who open a connection to a source. */
  readonly starts: Gate;
  readonly refused: Tally;
  readonly troubles: Troubles;
  readonly sent: SentTotals;
  readonly sessions: SessionTable<Session>;
  /** The sessions that depend on each viewer's connection. */
  readonly links: WeakMap<ViewerLink, Set<Session>>;
  readonly publications: Publications;
  readonly destinations: Destinations<ViewerTrack>;
  /** Whose packets are interleaved on which channels. */
  readonly channels: Channels<ViewerLink, ViewerTrack>;
  /** What control URLs mean, by their place (places.ts). */
  readonly described: ExpiringLru<Described>;
  /** The CNAME in RTCP packets of ours (RFC 7022 4.2: random, so that it tells nobody anything). */
  readonly cname: string;
  /** Next ViewerSpec.id. */
  nextViewerId(): number;
}

export interface MulticastService {
  readonly addresses: MulticastAddresses;
  readonly ttl: number;
  /** Name or address of the device by which it leaves; undefined: the one that leads to the viewer. */
  readonly device: string | undefined;
}

export function nowMs(clock: Clock): number {
  return Number(clock.monotonicNs() / 1_000_000n);
}

export function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
