// SPDX-License-Identifier: Apache-2.0
// A track of a viewer's own upstream session, in the stead of one that it shared with others. For the viewer it is the same
// RTP stream (RFC 2326 appendix B): served from the same ports, under the same SSRC, with sequence numbers that go on.

import type { Context } from './context.js';
import { Refusal } from './refusal.js';
import { arrangeSource, bindPair, type SourceParts } from './source-transport.js';
import { openArrived, openTrack, type Track, type TrackParts } from './track.js';
import type { LastSent, ViewerTrack } from './viewer-track.js';

const LOOPBACK = '127.0.0.1';
const VERSION_2 = 0x80;
const HEADER_BYTES = 12;
/** How often it is looked for, a clock tick apart. */
const LOOKS = 10;

/**
 * The datapath goes on from what it has last seen of a stream when the source behind that changes (StreamHandle.retarget).
 * So it is shown the last packet that the viewer got of the former track, by a pair of ports that stands for a source on the
 * loopback, and then the source takes its place.
 */
export async function openBeside(
  context: Context,
  parts: TrackParts,
  wanted: SourceParts,
  viewer: ViewerTrack,
): Promise<Track> {
  const last = viewer.lastSent;
  const downstream = viewer.track.downstream.take();
  if (!last) return openTrack(context, parts, wanted, downstream);
  const [upstream, feeder] = await bindTwo(context).catch((error: Error) => {
    downstream.close();
    throw error;
  });
  const source = {
    ...{ address: LOOPBACK, rtpPort: feeder.rtpPort, rtcpPort: feeder.rtcpPort, ssrc: last.ssrc },
  };
  const arrival = { upstream, feeder, source, localAddress: LOOPBACK };
  const track = await openArrived(context, parts, arrival, downstream);
  try {
    feeder.sendRtp(headerOf(last, parts.media.payloadType ?? 0), {
      address: LOOPBACK,
      port: upstream.rtpPort,
    });
    await untilSeen(context, track);
    await track.renew(async () => arrangeSource(context, wanted, await bindPair(context)));
    return track;
  } catch (error) {
    track.close();
    throw error;
  }
}

async function bindTwo(context: Context) {
  const first = await bindPair(context);
  const second = await bindPair(context).catch((error: Error) => {
    first.close();
    throw error;
  });
  return [first, second] as const;
}

/** Of a packet without payload. */
function headerOf({ ssrc, seq, timestamp }: LastSent, payloadType: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(VERSION_2, 0);
  header.writeUInt8(payloadType & 0x7f, 1);
  header.writeUInt16BE(seq, 2);
  header.writeUInt32BE(timestamp, 4);
  header.writeUInt32BE(ssrc, 8);
  return header;
}

async function untilSeen({ deadlines }: Context, { stream }: Track): Promise<void> {
  for (let looks = 0; looks < LOOKS; looks++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (stream.reception()) return;
    await new Promise<void>((resolve) => void deadlines.in(0, resolve));
  }
  throw new Refusal(503, 'the datapath has not taken up the stream that was to go on');
}
