// SPDX-License-Identifier: Apache-2.0
// A track that comes within the RTSP connection (RFC 2326 10.12). Its packets are sent on to the track's own UDP ports over
// the loopback, from a pair of ports that stands for the source: so the datapath copies them as it does any other's, and our
// reports to that pair go back as frames.

import { isRtcp } from '../rtcp/packet.js';
import { formatTransport, type Transport } from '../rtsp/transport.js';
import type { Context } from './context.js';
import type { UdpPair } from './ports.js';
import { Refusal } from './refusal.js';
import { bindPair, readTransport, type Arrival, type SourceParts } from './source-transport.js';

/** The frames of a connection to a source. */
export interface Frames {
  /** The first of two channels that nobody has; undefined: all are taken. */
  freeChannel(): number | undefined;
  /** False: that channel is taken. */
  onFrame(channel: number, handler: (payload: Buffer) => void): boolean;
  sendFrame(channel: number, payload: Buffer): void;
}

const LOOPBACK = '127.0.0.1';
const LAST_CHANNEL = 255;

/** Asks the source for it. Rejects as arrangeSource does. */
export async function arriveInterleaved(
  context: Context,
  parts: SourceParts,
  upstream: UdpPair,
): Promise<Arrival> {
  const low = parts.frames.freeChannel();
  if (low === undefined) throw new Refusal(503, 'the connection to the source has no channel left');
  const offer: Transport = {
    ...{ profile: 'RTP/AVP', lower: 'TCP', delivery: 'unicast', interleaved: { low, high: low + 1 } },
  };
  const answer = readTransport(await parts.setUp(formatTransport(offer)));
  return feedInterleaved(context, parts, upstream, { ...offer, ...answer });
}

/** As the source has answered. */
export async function feedInterleaved(
  context: Context,
  { frames }: Pick<SourceParts, 'frames'>,
  upstream: UdpPair,
  { lower, interleaved, ssrc }: Transport,
): Promise<Arrival> {
  const { low = 0, high = low + 1 } = interleaved ?? {};
  if (lower !== 'TCP' || !interleaved || high > LAST_CHANNEL)
    throw new Refusal(502, 'the source chose another transport than the one it was offered');
  const feeder = await bindPair(context);
  const rtp = { address: LOOPBACK, port: upstream.rtpPort };
  const rtcp = { address: LOOPBACK, port: upstream.rtcpPort };
  const muxed = high === low; // RFC 5761, whether it says so or not
  const taken =
    frames.onFrame(low, (packet) => {
      if (muxed && isRtcp(packet)) feeder.sendRtcp(packet, rtcp);
      else feeder.sendRtp(packet, rtp);
    }) &&
    (muxed || frames.onFrame(high, (packet) => feeder.sendRtcp(packet, rtcp)));
  if (!taken) {
    feeder.close();
    throw new Refusal(502, 'the source chose channels that another track has');
  }
  feeder.onRtcp((packet, from) => {
    if (from.address === LOOPBACK && from.port === upstream.rtcpPort) frames.sendFrame(high, packet);
  });
  const { rtpPort, rtcpPort } = feeder;
  const source = { address: LOOPBACK, rtpPort, rtcpPort, ssrc, channels: [low, high] as const };
  return { upstream, localAddress: LOOPBACK, source, feeder };
}
