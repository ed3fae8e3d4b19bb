// SPDX-License-Identifier: Apache-2.0
// The counts of a sender report for a viewer that was not sent everything (RFC 3550 6.4.1, 7.2). The twin of recount() in
// bpf/renumber.h.

const SR = 200;
const SR_LENGTH = 28;
const PACKETS = 20;
const OCTETS = 24;

/** A copy with counts less by so many packets and octets of RTP payload; the compound itself, where it begins with no report. */
export function recount(compound: Buffer, packets: number, octets: number): Buffer {
  if (compound.length < SR_LENGTH || compound[1] !== SR || (packets === 0 && octets === 0)) return compound;
  const copy = Buffer.from(compound);
  copy.writeUInt32BE((copy.readUInt32BE(PACKETS) - packets) >>> 0, PACKETS);
  copy.writeUInt32BE((copy.readUInt32BE(OCTETS) - octets) >>> 0, OCTETS);
  return copy;
}
