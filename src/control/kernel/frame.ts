// SPDX-License-Identifier: Apache-2.0
// A whole Ethernet frame with a UDP datagram over IPv4, as the kernel program's copies have it: for the packets that user
// space sends in the kernel's stead.
import { Limit } from './abi.gen.js';
import { ipv4Bytes } from './address.js';
import type { HopCommand } from './commands.js';

const ETHERNET = 14;
const IP = 20;
const UDP = 8;
export const FRAME_HEADERS = ETHERNET + IP + UDP;
const ETHERTYPE_IPV4 = 0x0800;
const DONT_FRAGMENT = 0x4000;
const PROTOCOL_UDP = 17;

export interface FrameAddresses {
  readonly hop: HopCommand;
  readonly source: string;
  readonly sourcePort: number;
  readonly address: string;
  readonly port: number;
  /** Time to live; undefined: the usual. */
  readonly ttl?: number | undefined;
}

/** One's complement sum of big-endian 16-bit words (RFC 1071), not folded; an odd last byte counts as if a zero followed. */
function sumWords(view: DataView, from: number, to: number): number {
  let sum = 0;
  let at = from;
  for (; at + 1 < to; at += 2) sum += view.getUint16(at);
  return at < to ? sum + (view.getUint8(at) << 8) : sum;
}

function checksum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return ~folded & 0xffff;
}

/** Writes the frame and returns its length, bytes. */
export function writeFrame(to: DataView, addresses: FrameAddresses, payload: Uint8Array): number {
  const bytes = new Uint8Array(to.buffer, to.byteOffset);
  const length = FRAME_HEADERS + payload.length;
  bytes.fill(0, 0, FRAME_HEADERS);
  bytes.set(addresses.hop.mac, 0);
  bytes.set(addresses.hop.sourceMac, 6);
  to.setUint16(12, ETHERTYPE_IPV4);

  to.setUint8(ETHERNET, 0x45);
  to.setUint16(ETHERNET + 2, length - ETHERNET);
  to.setUint16(ETHERNET + 6, DONT_FRAGMENT);
  to.setUint8(ETHERNET + 8, addresses.ttl ?? Limit.TTL);
  to.setUint8(ETHERNET + 9, PROTOCOL_UDP);
  bytes.set(ipv4Bytes(addresses.source), ETHERNET + 12);
  bytes.set(ipv4Bytes(addresses.address), ETHERNET + 16);
  to.setUint16(ETHERNET + 10, checksum(sumWords(to, ETHERNET, ETHERNET + IP)));

  const udp = ETHERNET + IP;
  to.setUint16(udp, addresses.sourcePort);
  to.setUint16(udp + 2, addresses.port);
  to.setUint16(udp + 4, UDP + payload.length);
  bytes.set(payload, FRAME_HEADERS);
  const pseudo = sumWords(to, ETHERNET + 12, ETHERNET + IP) + PROTOCOL_UDP + UDP + payload.length;
  to.setUint16(udp + 6, checksum(pseudo + sumWords(to, udp, length)) || 0xffff);
  return length;
}
