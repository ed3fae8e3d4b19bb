// SPDX-License-Identifier: Apache-2.0
// How a track comes from the source (RFC 2326 12.39): by unicast, or by multicast where the source offers nothing else.
// Ends with a pair of UDP ports that it arrives at.

import type { MediaTransport } from '../config/path-table.js';
import { RtspError } from '../rtsp/errors.js';
import type { RtspResponse } from '../rtsp/message.js';
import { formatTransport, parseTransportAnswer, type Transport } from '../rtsp/transport.js';
import { canonicalAddress, familyOf, isLinkLocal, zoneOf } from '../state/address.js';
import { isMulticastGroup } from '../state/multicast-addresses.js';
import type { Context } from './context.js';
import type { MediaDescription } from './description.js';
import { muxedPair } from './muxed-pair.js';
import type { Endpoint, MulticastSender, UdpPair } from './ports.js';
import { Refusal } from './refusal.js';
import { arriveInterleaved, feedInterleaved, type Frames } from './source-interleaved.js';

export interface SourceParts {
  readonly media: MediaDescription;
  /** How it may come. */
  readonly transport: MediaTransport;
  readonly frames: Frames;
  /** Asks the source: SETUP of the track with that Transport. Resolves with a 200. */
  readonly setUp: (transport: string) => Promise<RtspResponse>;
  /** Our and the source's end of the RTSP connection, as soon as SETUP has been answered. */
  readonly ends: () => { readonly local: Endpoint; readonly remote: Endpoint };
}

export interface Source {
  readonly address: string;
  /** 0: not told in SETUP; then any. */
  readonly rtpPort: number;
  readonly rtcpPort: number;
  readonly ssrc: number | undefined;
  /** RTP and RTCP come to one port. */
  readonly rtcpMux?: boolean;
  /** Where it comes within an RTSP connection, from the loopback: its channels there. */
  readonly channels?: readonly [rtp: number, rtcp: number];
  /** Where our reports go, where that is the group and not the source. */
  readonly reportTo?: Endpoint;
}

export interface Arrival {
  readonly upstream: UdpPair;
  /** Where the source sends to: our address, or the group. */
  readonly localAddress: string;
  readonly source: Source;
  /** Puts it into `upstream`, where it comes within the RTSP connection. */
  readonly feeder?: UdpPair;
}

const MULTICAST = formatTransport({ profile: 'RTP/AVP', lower: 'UDP', delivery: 'multicast' });
const LAST_PORT = 65_535;
/** Of our reports, where the source tells no `ttl`. */
const REPORT_TTL = 16;

/**
 * Rejects with a Refusal, and leaves nothing open, not even `offered`, where unicast would arrive: the source's own, 502
 * for an answer that cannot be used, 503 for a group that cannot be joined.
 */
export async function arrangeSource(
  context: Context,
  parts: SourceParts,
  offered: UdpPair,
): Promise<Arrival> {
  try {
    return await arrange(context, parts, offered);
  } catch (error) {
    offered.close();
    throw error;
  }
}

/** `offered` is closed when it is not used, and stays the caller's when this fails. */
async function arrange(context: Context, parts: SourceParts, offered: UdpPair): Promise<Arrival> {
  const { transport: wanted, media } = parts;
  if (wanted === 'tcp') return arriveInterleaved(context, parts, offered);
  const answered = await askForUnicast(parts, offered);
  if (answered?.lower === 'TCP' && wanted === 'auto')
    return feedInterleaved(context, parts, offered, answered);
  if (answered && answered.lower !== 'UDP')
    throw new Refusal(502, 'the source chose another transport than the one it was offered');
  if (answered && answered.delivery !== 'multicast') return arriveByUnicast(parts, offered, answered);
  // Its description says whether the source is one of those that do nothing but multicast.
  const group = media.connection.address;
  const isGroup = group !== undefined && isMulticastGroup(group);
  if (!answered && wanted === 'auto' && !isGroup) {
    const arrival = await unlessUnsupported(arriveInterleaved(context, parts, offered));
    if (arrival) return arrival;
  }
  const transport = answered ?? readTransport(await parts.setUp(MULTICAST));
  const arrival = await arriveByMulticast(context, parts, transport);
  offered.close();
  return arrival;
}

/** Undefined: the source does not do that (461). */
async function unlessUnsupported<T>(asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking;
  } catch (error) {
    if (error instanceof Refusal && error.status === 461) return undefined;
    throw error;
  }
}

/** Rejects with Refusal 503. */
export async function bindPair({ bindUdpPair }: Context, sender?: MulticastSender): Promise<UdpPair> {
  return bindUdpPair(sender).catch((error: Error) => {
    throw new Refusal(503, `no UDP ports: ${error.message}`);
  });
}

/** Undefined: the source does not do that. Some servers answer with another transport at once. */
function askForUnicast({ setUp, media }: SourceParts, pair: UdpPair): Promise<Transport | undefined> {
  const udp = { profile: 'RTP/AVP', lower: 'UDP', delivery: 'unicast' } as const;
  const offers = [formatTransport({ ...udp, clientPort: { low: pair.rtpPort, high: pair.rtcpPort } })];
  if (media.rtcpMux) {
    const clientPort = { low: pair.rtpPort, high: pair.rtpPort };
    offers.unshift(formatTransport({ ...udp, clientPort, rtcpMux: true }));
  }
  return unlessUnsupported(setUp(offers.join(',')).then(readTransport));
}

function arriveByUnicast({ media, ends }: SourceParts, offered: UdpPair, transport: Transport): Arrival {
  const { local, remote } = ends();
  if (media.rtcpMux && transport.rtcpMux) {
    const port = transport.serverPort?.low ?? 0;
    const address = sourceAddress(transport, remote);
    const source = { address, rtpPort: port, rtcpPort: port, ssrc: transport.ssrc, rtcpMux: true };
    return { upstream: muxedPair(offered), localAddress: local.address, source };
  }
  const { serverPort, ssrc } = transport;
  const rtpPort = serverPort?.low ?? 0;
  const rtcpPort = serverPort?.high ?? (rtpPort === 0 || rtpPort === LAST_PORT ? 0 : rtpPort + 1);
  const source = { address: sourceAddress(transport, remote), rtpPort, rtcpPort, ssrc };
  return { upstream: offered, localAddress: local.address, source };
}

/** Which group: what the answer says, else what the description says. */
async function arriveByMulticast(
  context: Context,
  { media, ends }: SourceParts,
  transport: Transport,
): Promise<Arrival> {
  const { local, remote } = ends();
  const { destination, port, ttl = REPORT_TTL, ssrc } = transport;
  const group = destination || (media.connection.address ?? '');
  const rtpPort = port?.low ?? media.connection.port;
  const rtcpPort = port?.high !== undefined && port.high > rtpPort ? port.high : rtpPort + 1;
  if (
    transport.lower !== 'UDP' ||
    transport.delivery !== 'multicast' ||
    !isMulticastGroup(group) ||
    rtpPort === 0 ||
    rtcpPort > LAST_PORT
  )
    throw new Refusal(502, 'the source named no multicast group that can be joined');
  const address = sourceAddress(transport, remote);
  if (familyOf(local.address) === 6 || familyOf(address) === 6)
    throw new Refusal(502, 'multicast from a source is IPv4 only');
  const receiver = { group, rtpPort, rtcpPort, source: address, localAddress: local.address };
  const upstream = await context.joinGroup({ ...receiver, ttl: Math.max(1, ttl) }).catch((error: Error) => {
    throw new Refusal(503, `the source's multicast group cannot be joined: ${error.message}`);
  });
  const reportTo = { address: group, port: rtcpPort };
  return { upstream, localAddress: group, source: { address, rtpPort: 0, rtcpPort: 0, ssrc, reportTo } };
}

/** Where the source sends from. `source=` counts only as an address that can reach us; 0.0.0.0 tells nothing. */
function sourceAddress({ source }: Transport, { address: remote }: Endpoint): string {
  const named = source === undefined ? undefined : canonicalAddress(source.replace(/^\[(.*)\]$/, '$1'));
  if (named === undefined || named === '0.0.0.0' || named === '::') return remote;
  if (familyOf(named) !== familyOf(remote)) return remote;
  if (!isLinkLocal(named) || zoneOf(named) !== undefined) return named;
  const zone = zoneOf(remote); // the name of a link here, which it cannot know
  return zone === undefined ? remote : `${named}%${zone}`;
}

/** @throws Refusal 502 */
export function readTransport(answer: RtspResponse): Transport {
  try {
    return parseTransportAnswer(answer.headers.get('Transport') ?? '');
  } catch (error) {
    if (error instanceof RtspError) throw new Refusal(502, `the source's Transport: ${error.message}`);
    throw error;
  }
}
