// SPDX-License-Identifier: Apache-2.0
// The RTP header, as far as a proxy needs it (RFC 3550 5.1, 5.3.1 and the checks of A.1).

export const RTP_HEADER = 12;

export interface RtpHeader {
  readonly sequence: number;
  readonly timestamp: number;
  readonly ssrc: number;
}

/** Undefined when it is not RTP version 2, or shorter than its CSRC count, extension or padding say. */
export function readRtpHeader(packet: Buffer): RtpHeader | undefined {
  if (packet.length < RTP_HEADER) return undefined;
  const flags = packet.readUInt8(0);
  if (flags >> 6 !== 2) return undefined;
  let header = RTP_HEADER + 4 * (flags & 0x0f);
  if (flags & 0x10) {
    if (packet.length < header + 4) return undefined;
    header += 4 + 4 * packet.readUInt16BE(header + 2);
  }
  const padding = flags & 0x20 ? packet.readUInt8(packet.length - 1) : 0;
  if (header + padding > packet.length || (flags & 0x20 && padding === 0)) return undefined;
  return {
    sequence: packet.readUInt16BE(2),
    timestamp: packet.readUInt32BE(4),
    ssrc: packet.readUInt32BE(8),
  };
}
