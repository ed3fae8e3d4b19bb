// SPDX-License-Identifier: Apache-2.0
// `$` frames, a byte of channel and two of length before each packet (RFC 2326 10.12), as they are written. framer.ts reads.

export const FRAME_HEADER = 4;
const DOLLAR = 0x24;

/** Writes one frame and answers where the next begins. There must be room for it. */
export function putFrame(into: Buffer, at: number, channel: number, packet: Buffer): number {
  into[at] = DOLLAR;
  into[at + 1] = channel;
  into.writeUInt16BE(packet.length, at + 2);
  packet.copy(into, at + FRAME_HEADER);
  return at + FRAME_HEADER + packet.length;
}

/** One frame by itself. */
export function frameOf(channel: number, packet: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER + packet.length);
  putFrame(frame, 0, channel, packet);
  return frame;
}
