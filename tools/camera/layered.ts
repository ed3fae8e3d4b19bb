// SPDX-License-Identifier: Apache-2.0
// A made-up stream of eight layers for measuring: NAL unit headers as in H.264 SVC (RFC 6190 1.1.3), and noise in them. The
// layers by themselves are 300, 100, 100, 100, 200, 100, 100, 100 kbit/s of RTP, 271 packets/s in all, evenly spaced.

import { randomFillSync } from 'node:crypto';

import { NAL_EXTENSION, NAL_IDR, NAL_PPS, NAL_PREFIX, NAL_SLICE, NAL_SPS } from './annexb.js';
import { Track, type MediaPacket } from './track.js';

const PACKETS_PER_SECOND = 271;
/** Packets of each layer in a picture: as many as it has hundreds of kbit/s. */
const PACKETS = [3, 1, 1, 1, 2, 1, 1, 1];
const PER_PICTURE = 11;
/** 100 kbit/s is one packet a picture; less the RTP header. */
const PAYLOAD = Math.round((100_000 / 8 / PACKETS_PER_SECOND) * PER_PICTURE) - 12;
const PAYLOAD_TYPE = 96;
const CLOCK_RATE = 90_000;
/** Pictures from one IDR to the next: a second's. */
const IDR_EVERY = 25;
const STAP_A = 24;
const FU_A = 28;
/** Baseline, and Scalable Baseline for the layers above; they describe no picture. */
const SPS = Buffer.from([0x60 | NAL_SPS, 66, 0xc0, 30, 0xda, 0x05, 0x07, 0xe4]);
const PPS = Buffer.from([0x60 | NAL_PPS, 0xce, 0x06, 0xe2]);

/** One loop has one IDR picture. */
export function layeredTrack(): { track: Track; seconds: number } {
  const seconds = (IDR_EVERY * PER_PICTURE) / PACKETS_PER_SECOND;
  const packets = Array.from({ length: IDR_EVERY }, (_, picture) => picturePackets(picture)).flat();
  const sets = [SPS, PPS].map((set) => set.toString('base64')).join(',');
  const attributes = [
    `rtpmap:${PAYLOAD_TYPE} H264-SVC/${CLOCK_RATE}`,
    `fmtp:${PAYLOAD_TYPE} packetization-mode=1;profile-level-id=53c01e;sprop-parameter-sets=${sets}`,
  ];
  const format = { media: 'video', payloadType: PAYLOAD_TYPE, clockRate: CLOCK_RATE, attributes } as const;
  return { track: new Track(format, packets, seconds, false), seconds };
}

function picturePackets(picture: number): MediaPacket[] {
  const timestamp = Math.round((picture * PER_PICTURE * CLOCK_RATE) / PACKETS_PER_SECOND);
  const payloads = PACKETS.flatMap((count, layer) =>
    layer === 0 ? base(picture === 0, count) : extension(picture === 0, layer, count),
  );
  return payloads.map((payload, i) => ({
    due: (picture * PER_PICTURE + i) / PACKETS_PER_SECOND,
    timestamp,
    marker: i === payloads.length - 1,
    payload,
  }));
}

/** A slice a packet; the first with what stands before it. */
function base(isIdr: boolean, count: number): Buffer[] {
  const header = 0x60 | (isIdr ? NAL_IDR : NAL_SLICE);
  const before = [...(isIdr ? [SPS, PPS] : []), Buffer.from([0x60 | NAL_PREFIX, ...svcHeader(isIdr, 0)])];
  const room = PAYLOAD - 1 - before.reduce((sum, nal) => sum + 2 + nal.length, 0) - 2;
  const first = aggregate([...before, slice([header], 0x80, room)]);
  return [first, ...Array.from({ length: count - 1 }, () => slice([header], 0x40, PAYLOAD))];
}

/** One slice; in fragments where it has more packets than one. */
function extension(isIdr: boolean, layer: number, count: number): Buffer[] {
  const [indicator, ...header] = [0x60 | NAL_EXTENSION, ...svcHeader(isIdr, layer)];
  if (count === 1) return [slice([indicator!, ...header], 0x80, PAYLOAD)];
  return Array.from({ length: count }, (_, i) => {
    const flags = (i === 0 ? 0x80 : 0) | (i === count - 1 ? 0x40 : 0);
    const begin = i === 0 ? header : [];
    return slice([0x60 | FU_A, flags | NAL_EXTENSION, ...begin], 0x80, PAYLOAD);
  });
}

/** nal_unit_header_svc_extension: R and I, priority; no inter-layer prediction, DID, QID; TID and flags, of reserved ones. */
function svcHeader(isIdr: boolean, layer: number): number[] {
  return [0x80 | (isIdr ? 0x40 : 0), layer << 4, 0x07];
}

/** `first`: begins with first_mb_in_slice. Odd bytes only, so that no start code appears. */
function slice(header: readonly number[], first: number, length: number): Buffer {
  const noise = randomFillSync(Buffer.alloc(length - header.length - 1)).map((byte) => byte | 1);
  return Buffer.concat([Buffer.from([...header, first]), noise]);
}

function aggregate(nals: readonly Buffer[]): Buffer {
  const parts = nals.flatMap((nal) => [Buffer.from([nal.length >> 8, nal.length & 0xff]), nal]);
  return Buffer.concat([Buffer.from([0x60 | STAP_A]), ...parts]);
}
