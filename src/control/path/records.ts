// SPDX-License-Identifier: Apache-2.0
// What the next process must know of this one, as it is noted (Notebook) and read back (restore.ts). A change of meaning
// here is a new JOURNAL_VERSION in hold/journal.ts.

import type { Notebook, ViewerCounters } from './ports.js';

/** Key `proxy`: what must be the same for anything of it to be taken over. */
export interface ProxyRecord {
  readonly listen: string;
  readonly source: string;
  readonly cname: string;
}

/** Key `resource/LINK`: a resource with a session upstream. */
export interface ResourceRecord {
  readonly url: string;
  readonly path: string;
  readonly since: string;
  /** The held connection to the source. */
  readonly link: string;
  readonly sessionId: string;
  readonly timeoutSeconds: number;
  readonly sdp: string;
  readonly base: string;
  /** It takes no newcomers. */
  readonly left: boolean;
  /** It is one viewer's. */
  readonly own: boolean;
  readonly start: StartRecord | null;
  readonly tracks: readonly TrackRecord[];
}

/** The source's answer to PLAY. */
export interface StartRecord {
  readonly range: string | null;
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly atNs: string;
  readonly scale: number;
  /** By control URL. */
  readonly info: readonly (readonly [string, { readonly seq?: number; readonly rtptime?: number }])[];
}

export interface TrackRecord {
  readonly control: string;
  /** RTP ports of its pairs. */
  readonly upstream: number;
  readonly downstream: number;
  readonly localAddress: string;
  readonly source: SourceEnd;
  readonly started: boolean;
  /** Under which we send receiver reports. */
  readonly reportSsrc: number;
}

/** Where a source sends from. */
export interface SourceEnd {
  readonly address: string;
  /** 0: not told. */
  readonly rtpPort: number;
  readonly rtcpPort: number;
  readonly ssrc?: number | undefined;
  /** RTP and RTCP come to one port. */
  readonly rtcpMux?: boolean;
}

/** Key `session/ID`. */
export interface SessionRecord {
  readonly id: string;
  readonly number: number;
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly since: string;
  readonly state: 'ready' | 'playing' | 'paused';
  /** The resource's link. */
  readonly resource: string;
  /** Held connections that have used it. */
  readonly links: readonly string[];
  readonly tracks: readonly ViewerTrackRecord[];
}

export interface ViewerTrackRecord {
  readonly control: string;
  /** As the viewer names it. */
  readonly url: string;
  readonly ports: readonly [rtp: number, rtcp: number];
  /** Its number in the datapath; null: no copies are made. */
  readonly id: number | null;
  /** Sent before its last pause. */
  readonly before: ViewerCounters;
}

/** Key `cseq/LINK`: the last CSeq that was used on that connection to the source. */
export type CSeqRecord = number;

/** Nobody holds anything for the next process, so it need not know anything. */
export const NO_NOTEBOOK: Notebook = { put: () => undefined, remove: () => undefined };

export type Records = ReadonlyMap<string, unknown>;

/** All records of a kind. They were written by a process of this version (JOURNAL_VERSION), so their shape is known. */
export function recordsOf<R>(records: Records, kind: 'resource' | 'session'): R[] {
  return [...records].filter(([key]) => key.startsWith(`${kind}/`)).map(([, record]) => record as R);
}
