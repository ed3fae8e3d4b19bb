// SPDX-License-Identifier: Apache-2.0
// A made-up stream for measuring: H.264 NAL units with true headers and noise in them, a slice a packet, all packets of
// one size, at a steady rate or so many back to back. Whoever takes pictures apart and packs them again gets the same packets.

import { randomFillSync } from 'node:crypto';

import { NAL_IDR, NAL_PPS, NAL_SLICE, NAL_SPS } from './annexb.js';
import { Track, type MediaPacket } from './track.js';

export interface SlicesOptions {
  readonly packetsPerSecond: number;
  /** Of each RTP packet, its header included. */
  readonly bytes: number;
  /** Packets back to back, at the same mean rate; undefined: one by one. */
  readonly burst?: number | undefined;
  readonly once: boolean;
}

const PICTURES_PER_SECOND = 25;
const PAYLOAD_TYPE = 96;
const CLOCK_RATE = 90_000;
const RTP_HEADER = 12;
const STAP_A = 24;
/** Smallest packet: the parameter sets, and a slice that is more than its header. */
export const LEAST_BYTES = 64;
/** Baseline, 320x240, level 3.0: what decoders and parsers want to see; the slices hold no picture. */
const SPS = Buffer.from([0x60 | NAL_SPS, 66, 0xc0, 30, 0xda, 0x05, 0x07, 0xe4]);
const PPS = Buffer.from([0x60 | NAL_PPS, 0xce, 0x06, 0xe2]);

/** One loop has one IDR picture and lasts about a second. */
export function slicesTrack(options: SlicesOptions): { track: Track; seconds: number } {
  const { packetsPerSecond, bytes, burst = 1, once } = options;
  const perPicture = Math.max(1, Math.round(packetsPerSecond / PICTURES_PER_SECOND));
  const pictures = Math.max(1, Math.round(packetsPerSecond / perPicture));
  const count = pictures * perPicture;
  const seconds = count / packetsPerSecond;
  const length = bytes - RTP_HEADER;
  const first = opening(length);
  const key = slice(true, false, length);
  const begin = slice(false, true, length);
  const more = slice(false, false, length);
  const packets = Array.from({ length: count }, (_, i): MediaPacket => {
    const picture = Math.floor(i / perPicture);
    const within = i % perPicture;
    return {
      due: (i - (i % burst)) / packetsPerSecond,
      timestamp: Math.round((picture * perPicture * CLOCK_RATE) / packetsPerSecond),
      marker: within === perPicture - 1,
      payload: i === 0 ? first : picture === 0 ? key : within === 0 ? begin : more, // whose noise is the same
    };
  });
  const sets = [SPS, PPS].map((set) => set.toString('base64')).join(',');
  const attributes = [
    `rtpmap:${PAYLOAD_TYPE} H264/${CLOCK_RATE}`,
    `fmtp:${PAYLOAD_TYPE} packetization-mode=1;profile-level-id=42c01e;sprop-parameter-sets=${sets}`,
  ];
  const format = { media: 'video', payloadType: PAYLOAD_TYPE, clockRate: CLOCK_RATE, attributes } as const;
  return { track: new Track(format, packets, seconds, once), seconds };
}

/** The parameter sets and the key frame's first slice (RFC 6184 5.7.1). */
function opening(length: number): Buffer {
  const before = [SPS, PPS].flatMap((nal) => [Buffer.from([0, nal.length]), nal]);
  const room = length - 1 - before.reduce((sum, part) => sum + part.length, 0) - 2;
  const size = Buffer.alloc(2);
  size.writeUInt16BE(room);
  return Buffer.concat([Buffer.from([0x60 | STAP_A]), ...before, size, slice(true, true, room)]);
}

/** Begins with first_mb_in_slice, ue(v), which tells where a picture begins; odd bytes only, so that no start code appears. */
function slice(isIdr: boolean, isFirst: boolean, length: number): Buffer {
  const header = [0x60 | (isIdr ? NAL_IDR : NAL_SLICE), isFirst ? 0x88 : 0x48];
  const noise = randomFillSync(Buffer.alloc(length - header.length)).map((byte) => byte | 1);
  return Buffer.concat([Buffer.from(header), noise]);
}
