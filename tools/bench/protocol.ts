// SPDX-License-Identifier: Apache-2.0
// What the benchmark and its worker in the proxy's namespace say to each other: one line of JSON each way.
import type { DropCount, StreamCounters } from '../../src/control/path/ports.js';

/** Who the viewers are: number i at `addresses[i % length]`, ports from `firstPort` upwards, two each. */
export interface Crowd {
  readonly addresses: readonly string[];
  readonly firstPort: number;
}

/** RTP port and address of viewer `i`; its RTCP port is the next one. */
export function viewerAt(crowd: Crowd, i: number): { address: string; rtpPort: number } {
  const { addresses, firstPort } = crowd;
  const round = Math.floor(i / addresses.length);
  return { address: addresses[i % addresses.length]!, rtpPort: firstPort + 2 * round };
}

export interface Counters {
  /** The first. */
  readonly stream: StreamCounters;
  /** Reasons with a count only. */
  readonly drops: readonly DropCount[];
  readonly facts: Readonly<Record<string, string | number>>;
  /** Packets of the viewer with the fewest and with the most, and of all; copies not sent, of all. */
  readonly viewers: {
    readonly least: number;
    readonly most: number;
    readonly packets: number;
    readonly drops: number;
  };
}

/** Milliseconds of each join and each leave. */
export interface Churned {
  readonly joinMs: readonly number[];
  readonly leaveMs: readonly number[];
}

/** What the worker does: name -> what it is told and what it answers. */
export interface Operations {
  /** So many streams; the RTP port of each. */
  open: (at: {
    source: string;
    sourcePort: number;
    local: string;
    viewersLocal: string;
    streams: number;
  }) => { rtpPorts: readonly number[] };
  /** Adds so many more viewers, to the streams in turn. */
  add: (request: { crowd: Crowd; count: number }) => { viewers: number };
  counters: (request: object) => Counters;
  /** Reads every viewer's counters, so many times: milliseconds each. */
  readAll: (request: { times: number }) => { ms: readonly number[] };
  /** Viewers `from` to `from + count - 1` of the crowd join and leave again, one after the other. */
  churn: (request: { crowd: Crowd; from: number; count: number; pauseMs: number }) => Churned;
}

export type Operation = keyof Operations;
export type Asked<K extends Operation> = Parameters<Operations[K]>[0];
export type Told<K extends Operation> = ReturnType<Operations[K]>;
