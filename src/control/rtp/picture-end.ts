// SPDX-License-Identifier: Apache-2.0
// What stands in for the last packet of a picture, for viewers that do not get its layer. The twin of bpf/picture_end.h.
import { RTP_HEADER } from './header.js';

const FILLER = Buffer.from('0cffff80', 'hex');
/** H.264: a filler data NAL unit (7.3.2.7); AV1: a padding OBU. */
const PAYLOADS = new Map<string, Buffer>([
  ['H264', FILLER],
  ['H264-SVC', FILLER],
  ['AV1', Buffer.from('10780080', 'hex')],
]);

/** RTP payload of any of them. */
export const END_OCTETS = 4;

/** Whether anything can, in that encoding. */
export function hasPictureEnd(encoding: string): boolean {
  return PAYLOADS.has(encoding.toUpperCase());
}

/** With the packet's number, timestamp and SSRC, and the marker. Undefined: nothing can. */
export function pictureEnd(packet: Buffer, encoding: string): Buffer | undefined {
  const payload = PAYLOADS.get(encoding.toUpperCase());
  if (!payload) return undefined;
  const end = Buffer.concat([packet.subarray(0, RTP_HEADER), payload]);
  end[0] = 0x80;
  end[1]! |= 0x80;
  return end;
}
