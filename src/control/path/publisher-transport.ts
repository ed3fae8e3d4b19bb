// SPDX-License-Identifier: Apache-2.0
// How a track comes from a publisher (RFC 2326 12.39, mode=record): the first of its offers that works. Ends, as
// source-transport.ts does, with a pair of UDP ports that it arrives at.

import { formatTransport, parseTransport, type Transport } from '../rtsp/transport.js';
import type { Context } from './context.js';
import type { ViewerLink } from './ports.js';
import type { PublisherFrames } from './publisher-frames.js';
import { muxedPair } from './muxed-pair.js';
import { Refusal } from './refusal.js';
import { feedInterleaved } from './source-interleaved.js';
import { bindPair, type Arrival } from './source-transport.js';

/** A track that has been set up, and is not recorded yet. */
export interface Arranged {
  readonly arrival: Arrival;
  /** For the answer. */
  readonly transport: string;
  /** Of the publisher's connection. */
  readonly channels: readonly [low: number, high: number] | undefined;
}

const LAST_PORT = 65_535;
const LAST_CHANNEL = 255;
/** The latter in an old draft, and in GStreamer's. */
const MODES = ['RECORD', 'RECEIVE'];

/** Rejects with a Refusal, and leaves nothing open then: 461 none of the offers works, 503 no ports. */
export async function arrangePublisher(
  context: Context,
  link: ViewerLink,
  frames: PublisherFrames,
  offers: string,
): Promise<Arranged> {
  for (const offer of parseTransport(offers)) {
    const { profile, lower, delivery, mode } = offer;
    if (profile !== 'RTP/AVP' || delivery === 'multicast') continue;
    if (mode && !mode.some((one) => MODES.includes(one))) continue;
    const arranged =
      lower === 'TCP'
        ? await byTcp(context, frames, offer)
        : lower === 'UDP' && (await byUdp(context, link, offer));
    if (arranged) return arranged;
  }
  throw new Refusal(461, 'none of the transports is RTP/AVP by a way that this publisher can send');
}

/** Only from the address of the publisher's connection, and the ports that it names, is anything taken. */
async function byUdp(
  context: Context,
  { remote, local }: ViewerLink,
  { clientPort, ssrc, rtcpMux }: Transport,
): Promise<Arranged | undefined> {
  if (!clientPort) return undefined;
  const { low } = clientPort;
  const high = rtcpMux ? low : (clientPort.high ?? low + 1);
  if (high > LAST_PORT) return undefined;
  const isMuxed = high === low; // RFC 5761
  const muxed = isMuxed ? ({ rtcpMux: true } as const) : {};
  const pair = await bindPair(context);
  const source = { address: remote.address, rtpPort: low, rtcpPort: high, ssrc, ...muxed };
  const upstream = isMuxed ? muxedPair(pair) : pair;
  const serverPort = { low: pair.rtpPort, high: isMuxed ? pair.rtpPort : pair.rtcpPort };
  return {
    arrival: { upstream, localAddress: local.address, source },
    transport: answer({ lower: 'UDP', clientPort: { low, high }, serverPort, ...muxed }),
    channels: undefined,
  };
}

async function byTcp(
  context: Context,
  frames: PublisherFrames,
  { interleaved, ssrc }: Transport,
): Promise<Arranged | undefined> {
  const { low, high } = channelsFor(frames, interleaved);
  if (low === undefined || high === undefined) return undefined;
  const channels = { lower: 'TCP', interleaved: { low, high } };
  const upstream = await bindPair(context);
  try {
    const offer = { profile: 'RTP/AVP', ...channels, ...(ssrc !== undefined && { ssrc }) };
    const arrival = await feedInterleaved(context, { frames }, upstream, offer);
    return { arrival, transport: answer(channels), channels: [low, high] };
  } catch (error) {
    upstream.close();
    throw error;
  }
}

/** Those that it wants, or the lowest that are free. */
function channelsFor(frames: PublisherFrames, wanted: Transport['interleaved']) {
  const { low = 0, high = low + 1 } = wanted ?? {};
  if (wanted && high <= LAST_CHANNEL && frames.areFree(low, high)) return { low, high };
  const free = frames.freeChannel();
  return { low: free, high: free === undefined ? undefined : free + 1 };
}

function answer(transport: Omit<Transport, 'profile'>): string {
  return formatTransport({ profile: 'RTP/AVP', delivery: 'unicast', mode: ['record'], ...transport });
}
