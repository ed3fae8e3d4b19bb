// SPDX-License-Identifier: Apache-2.0
// The picture track: an H.264 byte stream without B pictures, layered or not, or one of H.265, as RTP packets of one loop.

import { groupPictures, NAL_IDR, NAL_PPS, NAL_SPS, NAL_SUBSET_SPS, nalType, splitNals } from './annexb.js';
import { packetizeH264 } from './h264-packetizer.js';
import { packetizeH265, readH265, type H265Clip } from './h265.js';
import { Track, type MediaPacket } from './track.js';

export interface VideoOptions {
  /** Pictures per second: an elementary stream has no times. */
  readonly rate: number;
  /** Largest RTP payload, bytes. */
  readonly payload: number;
  /** Packets sent back to back, at the stream's mean rate; undefined: those of each picture, at its time. */
  readonly burst: number | undefined;
  readonly once: boolean;
}

const PAYLOAD_TYPE = 96;
const CLOCK_RATE = 90_000;

/** @throws Error when the stream does not begin with parameter sets and a key frame. */
export function videoTrack(stream: Buffer, options: VideoOptions): { track: Track; seconds: number } {
  const h265 = readH265(stream);
  if (h265) return h265Track(h265, options);
  const pictures = groupPictures(splitNals(stream));
  const first = pictures[0]?.nals ?? [];
  const [sps, pps] = [NAL_SPS, NAL_PPS].map((type) => first.find((nal) => nalType(nal) === type));
  if (!sps || sps.length < 4 || !pps || !first.some((nal) => nalType(nal) === NAL_IDR))
    throw new Error('the clip is not an H.264 byte stream that begins with SPS, PPS and a key frame');
  const seconds = pictures.length / options.rate;
  const packets = pictures.flatMap(({ nals }, index) =>
    picturePackets(packetizeH264(nals, options.payload), index, options.rate),
  );
  return trackOf(packets, describeH264(first), seconds, options);
}

/** Timestamps are when pictures are shown; they are sent in the order of decoding. */
function h265Track(
  { pictures, parameters }: H265Clip,
  options: VideoOptions,
): { track: Track; seconds: number } {
  const packets = pictures.flatMap(({ nals, shown }, index) => {
    const timestamp = Math.round((shown / options.rate) * CLOCK_RATE);
    return picturePackets(packetizeH265(nals, options.payload), index, options.rate).map((packet) => ({
      ...packet,
      timestamp,
    }));
  });
  const description = [`rtpmap:${PAYLOAD_TYPE} H265/${CLOCK_RATE}`, `fmtp:${PAYLOAD_TYPE} ${parameters}`];
  return trackOf(packets, description, pictures.length / options.rate, options);
}

function trackOf(
  packets: MediaPacket[],
  description: readonly string[],
  seconds: number,
  { rate, burst, once }: VideoOptions,
): { track: Track; seconds: number } {
  const attributes = [...description, `framerate:${rate}`];
  const format = { media: 'video', payloadType: PAYLOAD_TYPE, clockRate: CLOCK_RATE, attributes } as const;
  return {
    track: new Track(format, burst ? inBursts(packets, burst, seconds) : packets, seconds, once),
    seconds,
  };
}

/** RFC 6184 8.2.1, RFC 6190 7.2.1: the highest layer's profile, and the parameter sets of all layers. */
function describeH264(nals: readonly Buffer[]): string[] {
  const sets = nals.filter((nal) => [NAL_SPS, NAL_SUBSET_SPS, NAL_PPS].includes(nalType(nal)));
  const top = sets.findLast((nal) => nalType(nal) === NAL_SUBSET_SPS);
  const profile = (top ?? sets[0]!).toString('hex', 1, 4);
  return [
    `rtpmap:${PAYLOAD_TYPE} ${top ? 'H264-SVC' : 'H264'}/${CLOCK_RATE}`,
    `fmtp:${PAYLOAD_TYPE} packetization-mode=1;profile-level-id=${profile};` +
      `sprop-parameter-sets=${sets.map((set) => set.toString('base64')).join(',')}`,
  ];
}

function picturePackets(payloads: readonly Buffer[], index: number, rate: number): MediaPacket[] {
  const due = index / rate;
  const timestamp = Math.round(due * CLOCK_RATE);
  return payloads.map((payload, i) => ({ due, timestamp, marker: i === payloads.length - 1, payload }));
}

/** Same packets, same order, same mean rate; what changes is when each is sent. */
function inBursts(packets: readonly MediaPacket[], burst: number, seconds: number): MediaPacket[] {
  const spacing = seconds / packets.length;
  return packets.map((packet, i) => ({ ...packet, due: (i - (i % burst)) * spacing }));
}
