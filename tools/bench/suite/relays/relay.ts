// SPDX-License-Identifier: Apache-2.0
// A relay: a program that stands in the proxy's namespace, takes one RTSP stream from a source and serves it to RTSP viewers. Each of
// them does so in the same place, with the same origin and the same viewers, so that what is measured differs in nothing else.
import type { Child } from '../../../netns/child.js';
import type { Namespace } from '../../../netns/topology.js';

/** Of RTP to the viewers. */
export type Transport = 'udp' | 'tcp';

/** What a relay is given. */
export interface RelayPlace {
  readonly namespace: Namespace;
  /** IPv4 address that the viewers know the relay by; it listens there or on all. */
  readonly address: string;
  /** To listen on; another one each time: some do not bind beside what the one before has left in TIME-WAIT. */
  readonly port: number;
  /** Where it takes the stream from. */
  readonly source: string;
  /** For its files; empty, and anybody may write there. */
  readonly folder: string;
}

export interface Relay {
  readonly name: string;
  /** Ours, or of somebody else. */
  readonly ours: boolean;
  readonly transports: readonly Transport[];
  /** Who makes the copies for viewers over UDP: frames that XDP made do not pass where socket buffers do. */
  readonly copies: 'xdp' | 'stack';
  /** As somebody would type it, SOURCE standing for the source's URL; with the settings that matter. */
  readonly command: string;
  /** Which one is here, or why none is run. */
  probe(): Probe;
  /** Resolves when it listens. `url` is where viewers find the stream; a stopped child is all there is to clean up. */
  start(place: RelayPlace): Promise<RunningRelay>;
}

export type Probe = { readonly version: string } | { readonly notRun: string };

export interface RunningRelay {
  readonly child: Child;
  readonly url: string;
}

/** As it is written down. */
export type RelayFacts = { readonly name: string; readonly command: string } & Probe;

/** RTSP, the first time. */
export const PORT = 8554;

/** Undefined: it is not there. */
export const onPath = (version: string | undefined): Probe =>
  version === undefined ? { notRun: 'not on PATH' } : { version };

const probes = new Map<Relay, Probe>();

/** Each is asked once. */
function probed(relay: Relay): Probe {
  const known = probes.get(relay) ?? relay.probe();
  probes.set(relay, known);
  return known;
}

export const canRun = (relay: Relay): boolean => 'version' in probed(relay);

export function factsOf(relay: Relay): RelayFacts {
  return { name: relay.name, command: relay.command, ...probed(relay) };
}
