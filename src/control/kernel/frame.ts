// SPDX-License-Identifier: Apache-2.0
// A whole Ethernet frame with a UDP datagram over IPv4 or IPv6, as the kernel program's copies have it: for the packets
// that user space sends in the kernel's stead.
import { addressBytes, familyOf } from '../state/address.js';
import { Limit } from './abi.gen.js';
import type { HopCommand } from './commands.js';

const ETHERNET = 14;
const IP = { 4: 20, 6: 40 } as const;
const UDP = 8;
const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const;
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

/** Bytes of the IP packet that carries so much payload to that address. */
export function packetLength(address: string, payload: number): number {
  return IP[familyOf(address)] + UDP + payload;
}

/** Writes the frame and returns its length, bytes. Both addresses are of one family. */
export function writeFrame(to: DataView, addresses: FrameAddresses, payload: Uint8Array): number {
  const family = familyOf(addresses.address);
  const udp = ETHERNET + IP[family];
  const length = udp + UDP + payload.length;
  const hopLimit = addresses.ttl ?? Limit.TTL;
  const bytes = new Uint8Array(to.buffer, to.byteOffset);
  bytes.fill(0, 0, udp + UDP);
  bytes.set(addresses.hop.mac, 0);
  bytes.set(addresses.hop.sourceMac, 6);
  to.setUint16(12, ETHERTYPE[family]);
  const from =
    family === 4 ? writeIpv4(to, length - ETHERNET, hopLimit) : writeIpv6(to, length - udp, hopLimit);
  const source = addressBytes(addresses.source);
  bytes.set(source, from);
  bytes.set(addressBytes(addresses.address), from + source.length);
  if (family === 4) to.setUint16(ETHERNET + 10, checksum(sumWords(to, ETHERNET, udp)));

  to.setUint16(udp, addresses.sourcePort);
  to.setUint16(udp + 2, addresses.port);
  to.setUint16(udp + 4, UDP + payload.length);
  bytes.set(payload, udp + UDP);
  const pseudo = sumWords(to, from, udp) + PROTOCOL_UDP + UDP + payload.length;
  to.setUint16(udp + 6, checksum(pseudo + sumWords(to, udp, length)) || 0xffff);
  return length;
}

/** RFC 791 3.1, without checksum and addresses; returns where those go. */
function writeIpv4(to: DataView, length: number, ttl: number): number {
  to.setUint8(ETHERNET, 0x45);
  to.setUint16(ETHERNET + 2, length);
  to.setUint16(ETHERNET + 6, DONT_FRAGMENT);
  to.setUint8(ETHERNET + 8, ttl);
  to.setUint8(ETHERNET + 9, PROTOCOL_UDP);
  return ETHERNET + 12;
}

/** RFC 8200 3, without addresses; returns where those go. */
function writeIpv6(to: DataView, payloadLength: number, hopLimit: number): number {
  to.setUint8(ETHERNET, 0x60);
  to.setUint16(ETHERNET + 4, payloadLength);
  to.setUint8(ETHERNET + 6, PROTOCOL_UDP);
  to.setUint8(ETHERNET + 7, hopLimit);
  return ETHERNET + 8;
}
