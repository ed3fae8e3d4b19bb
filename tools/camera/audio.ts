// SPDX-License-Identifier: Apache-2.0
// The sound track: a beep of 100 ms at each full second, PCMU (ITU-T G.711) in packets of 20 ms (RFC 3551 4.5.14).

import { Track, type MediaPacket } from './track.js';

const CLOCK_RATE = 8000;
const PACKET_SAMPLES = 160;
const PITCH = 880; // Hz
const BEEP = 0.1; // s
const AMPLITUDE = 8000; // of 32767

export function audioTrack(seconds: number, once: boolean): Track {
  const packets: MediaPacket[] = [];
  for (let at = 0; at + PACKET_SAMPLES <= seconds * CLOCK_RATE; at += PACKET_SAMPLES)
    packets.push({ due: at / CLOCK_RATE, timestamp: at, marker: at === 0, payload: samplesFrom(at) });
  const format = {
    media: 'audio',
    payloadType: 0,
    clockRate: CLOCK_RATE,
    attributes: ['rtpmap:0 PCMU/8000'],
  } as const;
  return new Track(format, packets, seconds, once);
}

function samplesFrom(first: number): Buffer {
  return Buffer.from(
    Array.from({ length: PACKET_SAMPLES }, (_, i) => {
      const time = ((first + i) % CLOCK_RATE) / CLOCK_RATE;
      return muLaw(time < BEEP ? Math.round(AMPLITUDE * Math.sin(2 * Math.PI * PITCH * time)) : 0);
    }),
  );
}

/** 16 bits linear to 8 bits mu-law: sign, position of the highest bit, the four bits behind it; all inverted. */
export function muLaw(sample: number): number {
  const magnitude = Math.min(Math.abs(sample), 32_635) + 0x84;
  const exponent = 31 - Math.clz32(magnitude) - 7;
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return ~((sample < 0 ? 0x80 : 0) | (exponent << 4) | mantissa) & 0xff;
}
