// SPDX-License-Identifier: Apache-2.0
// A whole Ethernet frame with a UDP datagram over IPv4 or IPv6, as the kernel program's copies have it: for the packets
// that user space sends in the kernel's stead.
import { addressBytes, familyOf, type Family } from '../state/address.js';
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

/** The frames to one port of one address: what all of them have is made once. Both addresses are of one family. */
export class FrameWriter {
  /** Where the payload is put: what is left of the frame's memory behind the headers. */
  readonly payload: Uint8Array;
  readonly #frame: DataView;
  readonly #bytes: Uint8Array;
  /** Ethernet, IP and UDP headers; what depends on the payload is zero. */
  readonly #headers: Uint8Array;
  readonly #family: Family;
  /** Where the UDP header begins. */
  readonly #udp: number;
  /** Of the IPv4 header; of addresses, ports and protocol for UDP (RFC 768). */
  readonly #ipSum: number;
  readonly #udpSum: number;

  /** `frame`: the memory that the frames are written to, which writers may share. */
  constructor(frame: DataView, { hop, source, sourcePort, address, port, ttl = Limit.TTL }: FrameAddresses) {
    const family = familyOf(address);
    const udp = ETHERNET + IP[family];
    const headers = new Uint8Array(udp + UDP);
    const view = new DataView(headers.buffer);
    headers.set(hop.mac, 0);
    headers.set(hop.sourceMac, 6);
    view.setUint16(12, ETHERTYPE[family]);
    const from = family === 4 ? writeIpv4(view, ttl) : writeIpv6(view, ttl);
    const bytes = addressBytes(source);
    headers.set(bytes, from);
    headers.set(addressBytes(address), from + bytes.length);
    view.setUint16(udp, sourcePort);
    view.setUint16(udp + 2, port);
    this.#frame = frame;
    this.#bytes = new Uint8Array(frame.buffer, frame.byteOffset, frame.byteLength);
    this.payload = this.#bytes.subarray(headers.length);
    this.#headers = headers;
    this.#family = family;
    this.#udp = udp;
    this.#ipSum = sumWords(view, ETHERNET, udp);
    this.#udpSum = sumWords(view, from, udp + UDP) + PROTOCOL_UDP;
  }

  /** Writes the headers before so many bytes of payload, which is in its place; returns the length of the frame, bytes. */
  write(payload: number): number {
    const udp = this.#udp;
    const to = this.#frame;
    const length = udp + UDP + payload;
    this.#bytes.set(this.#headers, 0);
    if (this.#family === 4) {
      to.setUint16(ETHERNET + 2, length - ETHERNET);
      to.setUint16(ETHERNET + 10, checksum(this.#ipSum + length - ETHERNET));
    } else to.setUint16(ETHERNET + 4, length - udp);
    to.setUint16(udp + 4, length - udp);
    // The length is in the pseudo header, too.
    const sum = this.#udpSum + 2 * (length - udp) + sumWords(to, udp + UDP, length);
    to.setUint16(udp + 6, checksum(sum) || 0xffff);
    return length;
  }
}

/** RFC 791 3.1, without length, checksum and addresses; returns where the addresses go. */
function writeIpv4(to: DataView, ttl: number): number {
  to.setUint8(ETHERNET, 0x45);
  to.setUint16(ETHERNET + 6, DONT_FRAGMENT);
  to.setUint8(ETHERNET + 8, ttl);
  to.setUint8(ETHERNET + 9, PROTOCOL_UDP);
  return ETHERNET + 12;
}

/** RFC 8200 3, without length and addresses; returns where the addresses go. */
function writeIpv6(to: DataView, hopLimit: number): number {
  to.setUint8(ETHERNET, 0x60);
  to.setUint8(ETHERNET + 6, PROTOCOL_UDP);
  to.setUint8(ETHERNET + 7, hopLimit);
  return ETHERNET + 8;
}
