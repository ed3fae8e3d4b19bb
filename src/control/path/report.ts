// SPDX-License-Identifier: Apache-2.0
// Story 2: RTCP from a viewer in -> whose is it -> what does it say of our source -> command to the datapath.

import { parseCompound } from '../rtcp/compound.js';
import { msFromShort, roundTripSince } from '../rtcp/ntp.js';
import type { ReportBlock, RtcpPacket } from '../rtcp/packet.js';
import type { InterleavedFrame } from '../rtsp/message.js';
import type { Context } from './context.js';
import type { Endpoint, ViewerLink } from './ports.js';
import type { Track } from './track.js';
import type { ViewerTrack } from './viewer-track.js';

/** `packet` came to the port from which the track's viewers are served. Nothing is logged here: anybody may send. */
export function receiveViewerRtcp(context: Context, track: Track, packet: Buffer, from: Endpoint): void {
  const arrivalNs = context.clock.monotonicNs();
  const viewer = context.destinations.owner(from.address, from.port);
  if (!viewer || viewer.track !== track || viewer.ports[1] !== from.port) {
    context.refused.add('viewer-rtcp-from-stranger');
    return;
  }
  readCompound(context, viewer, packet, arrivalNs);
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
  for (const part of parts) readViewerRtcp(context, viewer, part, arrivalNs);
}

/** Undefined, and counted, when it is no compound packet. */
export function parseViewerRtcp(context: Context, packet: Buffer): readonly RtcpPacket[] | undefined {
  const compound = parseCompound(packet);
  if (compound.ok) return compound.packets;
  context.refused.add(`viewer-rtcp-${compound.reason}`);
  return undefined;
}

export function readViewerRtcp(
  context: Context,
  viewer: ViewerTrack,
  part: RtcpPacket,
  arrivalNs: bigint,
): void {
  switch (part.kind) {
    case 'rr':
    case 'sr': // a viewer that sends as well (two-way audio) reports in its sender reports
      for (const block of part.blocks) {
        if (block.ssrc === viewer.track.ssrc) report(context, viewer, block, arrivalNs);
        else context.refused.add('viewer-report-of-other-source');
      }
      return;
    case 'bye':
      viewer.session.close('it said BYE');
      return;
    default: // CNAME, APP, extended reports: nothing in them is acted on (docs/rtcp.md)
  }
}

function report(context: Context, viewer: ViewerTrack, block: ReportBlock, arrivalNs: bigint): void {
  const { fraction, cumulative, jitter, lsr, dlsr } = block;
  const sentNs = lsr === 0 ? undefined : viewer.track.stream.senderReportSentNs(lsr);
  const roundTripMs = sentNs === undefined ? undefined : msFromShort(roundTripSince(sentNs, arrivalNs, dlsr));
  viewer.report({ fraction, cumulative, jitter, roundTripMs, atMs: context.clock.wallMs() });
}
