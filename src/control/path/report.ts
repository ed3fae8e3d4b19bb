// SPDX-License-Identifier: Apache-2.0
// Story 2: RTCP from a viewer in -> whose is it -> what does it say of our source -> command to the datapath.

import { parseCompound } from '../rtcp/compound.js';
import { msFromShort, roundTripSince } from '../rtcp/ntp.js';
import { isRtcp, type ReportBlock, type RtcpPacket } from '../rtcp/packet.js';
import type { InterleavedFrame } from '../rtsp/message.js';
import type { Context } from './context.js';
import { readExtended } from './extended-report.js';
import type { Endpoint, ViewerLink } from './ports.js';
import type { SharedPair } from './shared-pair.js';
import type { ViewerTrack } from './viewer-track.js';

/** `packet` came to the ports from which viewers are served. Nothing is logged here: anybody may send. */
export function receiveViewerRtcp(
  context: Context,
  downstream: SharedPair,
  packet: Buffer,
  from: Endpoint,
): void {
  const arrivalNs = context.clock.monotonicNs();
  const viewer = context.destinations.owner(from.address, from.port);
  const isIts = viewer?.track.downstream === downstream && viewer.ports[1] === from.port;
  if (!viewer || !isIts || viewer.muxed) {
    context.refused.add('viewer-rtcp-from-stranger');
    return;
  }
  readCompound(context, viewer, packet, arrivalNs);
}

/** `packet` came to the port for RTP, where viewers report who have RTCP multiplexed with it (RFC 5761). Others send what
 * opens their firewalls: that is for nobody. */
export function receiveMuxedRtcp(
  context: Context,
  downstream: SharedPair,
  packet: Buffer,
  from: Endpoint,
): void {
  if (!isRtcp(packet)) return;
  const arrivalNs = context.clock.monotonicNs();
  const viewer = context.destinations.owner(from.address, from.port);
  if (viewer?.track.downstream === downstream && viewer.muxed)
    readCompound(context, viewer, packet, arrivalNs);
  else context.refused.add('viewer-rtcp-from-stranger');
}

/** A `$` frame of a viewer's (RFC 2326 10.12). What is no RTCP of ours is counted and thrown away. */
export function receiveInterleaved(context: Context, link: ViewerLink, frame: InterleavedFrame): void {
  const viewer = context.channels.owner(link, frame.channel);
  if (!viewer) context.refused.add('interleaved-unknown-channel');
  else if (frame.channel !== viewer.ports[1]) context.refused.add('interleaved-rtp-from-viewer');
  else readCompound(context, viewer, frame.payload, context.clock.monotonicNs());
}

function readCompound(context: Context, viewer: ViewerTrack, packet: Buffer, arrivalNs: bigint): void {
  const parts = parseViewerRtcp(context, packet);
  if (!parts) return;
  viewer.session.heard();
  readViewerRtcp(context, viewer, parts, arrivalNs);
  if (saysGoodbye(context, viewer, parts)) viewer.leave('it said BYE');
}

/** Undefined, and counted, when it is no compound packet. */
export function parseViewerRtcp(context: Context, packet: Buffer): readonly RtcpPacket[] | undefined {
  const compound = parseCompound(packet);
  if (compound.ok) return compound.packets;
  context.refused.add(`viewer-rtcp-${compound.reason}`);
  return undefined;
}

/** The parts of one compound. A datagram has room for thousands of blocks, all about our source: the last of them counts, and
 * the datapath is asked for the source's SSRC once. */
export function readViewerRtcp(
  context: Context,
  viewer: ViewerTrack,
  parts: readonly RtcpPacket[],
  arrivalNs: bigint,
): void {
  const { ssrc } = viewer.track;
  let last: ReportBlock | undefined;
  for (const part of parts)
    switch (part.kind) {
      case 'rr':
      case 'sr': // a viewer that sends as well (two-way audio) reports in its sender reports
        for (const block of part.blocks)
          if (block.ssrc === ssrc) last = block;
          else context.refused.add('viewer-report-of-other-source');
        break;
      case 'xr':
        readExtended(context, viewer, part, { ssrc, arrivalNs });
        break;
      default: // CNAME, APP: nothing in them is acted on (docs/rtcp.md)
    }
  if (last) report(context, viewer, last, arrivalNs);
}

/**
 * Whether the viewer leaves the track's RTP session (RFC 3550 6.6): BYE of the SSRC that the compound is from. Who chose the
 * source's says BYE to that, and goes on under another (8.2).
 */
export function saysGoodbye(
  { refused }: Context,
  { track }: ViewerTrack,
  parts: readonly RtcpPacket[],
): boolean {
  const [report] = parts; // each compound begins with one (6.1)
  const ssrc = report?.kind === 'rr' || report?.kind === 'sr' ? report.ssrc : undefined;
  const goodbyes = parts.flatMap((part) => (part.kind === 'bye' ? [part] : []));
  const leaves = ssrc !== undefined && goodbyes.some(({ ssrcs }) => ssrcs.includes(ssrc));
  if (leaves && ssrc !== track.ssrc) return true;
  if (goodbyes.length > 0) refused.add('viewer-bye-of-other');
  return false;
}

function report(context: Context, viewer: ViewerTrack, block: ReportBlock, arrivalNs: bigint): void {
  const { fraction, cumulative, jitter, lsr, dlsr } = block;
  const sentNs = lsr === 0 ? undefined : viewer.track.stream.senderReportSentNs(lsr);
  const roundTripMs = sentNs === undefined ? undefined : msFromShort(roundTripSince(sentNs, arrivalNs, dlsr));
  viewer.report({ fraction, cumulative, jitter, roundTripMs, atMs: context.clock.wallMs() });
}
