// SPDX-License-Identifier: Apache-2.0
// Reads a classic capture file (tcpdump -w) and recomputes the IPv4 header and UDP checksums of every UDP packet in it
// (RFC 791 3.1, RFC 768, RFC 8200 8.1). Only whole Ethernet frames can be judged: capture with -s 0.

export interface UdpPacket {
  /** Number in the file, from 1, as tcpdump -# and Wireshark show it. */
  readonly number: number;
  /** Twelve hexadecimal digits. */
  readonly destinationMac: string;
  /** Time to live, or hop limit. */
  readonly ttl: number;
  /** Type of service, or traffic class. */
  readonly trafficClass: number;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly payload: Buffer;
  /** IPv6 has no header checksum. */
  readonly header: 'right' | 'wrong' | 'none';
  /** `none`: zero, which over IPv4 means that the sender computed none. */
  readonly checksum: 'right' | 'wrong' | 'none';
}

export interface Capture {
  readonly udp: readonly UdpPacket[];
  /** Frames that are no UDP packets. */
  readonly others: number;
  /** UDP that cannot be judged: cut short by the capture, or a fragment. */
  readonly unreadable: number;
}

const GLOBAL_HEADER = 24;
const RECORD_HEADER = 16;
const ETHERNET_HEADER = 14;
const LINKTYPE_ETHERNET = 1;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const UDP = 17;
const UDP_HEADER = 8;

/** @throws Error when the file is no classic capture of Ethernet frames, or ends within one. */
export function readCapture(file: Buffer): Capture {
  const little = isLittleEndian(file);
  const u32 = (at: number) => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
  if ((u32(20) & 0x0fffffff) !== LINKTYPE_ETHERNET) throw new Error('the capture is not of Ethernet frames');
  const udp: UdpPacket[] = [];
  let others = 0;
  let unreadable = 0;
  let number = 0;
  for (let at = GLOBAL_HEADER; at < file.length;) {
    if (at + RECORD_HEADER > file.length) throw new Error('the capture ends within a record');
    const captured = u32(at + 8);
    at += RECORD_HEADER;
    if (at + captured > file.length) throw new Error('the capture ends within a frame');
    const packet = readFrame(file.subarray(at, at + captured), ++number);
    at += captured;
    if (packet === 'other') others++;
    else if (packet === 'unreadable') unreadable++;
    else udp.push(packet);
  }
  return { udp, others, unreadable };
}

function isLittleEndian(file: Buffer): boolean {
  if (file.length < GLOBAL_HEADER) throw new Error('the capture is empty');
  for (const magic of [0xa1b2c3d4, 0xa1b23c4d]) {
    if (file.readUInt32LE(0) === magic) return true;
    if (file.readUInt32BE(0) === magic) return false;
  }
  throw new Error('not a classic capture file');
}

function readFrame(frame: Buffer, number: number): UdpPacket | 'other' | 'unreadable' {
  if (frame.length < ETHERNET_HEADER) return 'other';
  const type = frame.readUInt16BE(12);
  const packet = frame.subarray(ETHERNET_HEADER);
  const read =
    type === ETHERTYPE_IPV4 ? readIpv4(packet) : type === ETHERTYPE_IPV6 ? readIpv6(packet) : 'other';
  if (typeof read === 'string') return read;
  return { number, destinationMac: frame.toString('hex', 0, 6), ...read };
}

type IpPacket = Omit<UdpPacket, 'number' | 'destinationMac'>;

function readIpv4(packet: Buffer): IpPacket | 'other' | 'unreadable' {
  if (packet.length < 20 || packet[9] !== UDP) return 'other';
  const headerLength = (packet[0]! & 15) * 4;
  const total = packet.readUInt16BE(2);
  const fragment = (packet.readUInt16BE(6) & 0x3fff) !== 0;
  if (fragment || headerLength < 20 || packet.length < total || total < headerLength + UDP_HEADER)
    return 'unreadable';
  const header = onesComplementSum([packet.subarray(0, headerLength)]) === 0xffff ? 'right' : 'wrong';
  const addresses = packet.subarray(12, 20);
  const text = (at: number) => packet.subarray(at, at + 4).join('.');
  const udp = readUdp(packet.subarray(headerLength, total), addresses);
  const ip = {
    header,
    ttl: packet[8]!,
    trafficClass: packet[1]!,
    source: text(12),
    destination: text(16),
  } as const;
  return udp ? { ...udp, ...ip } : 'unreadable';
}

function readIpv6(packet: Buffer): IpPacket | 'other' | 'unreadable' {
  if (packet.length < 40 || packet[6] !== UDP) return 'other';
  const length = packet.readUInt16BE(4);
  if (packet.length < 40 + length || length < UDP_HEADER) return 'unreadable';
  const text = (at: number) => ipv6Text(packet.subarray(at, at + 16));
  const udp = readUdp(packet.subarray(40, 40 + length), packet.subarray(8, 40));
  const trafficClass = (packet.readUInt16BE(0) >> 4) & 0xff;
  const ip = {
    header: 'none',
    ttl: packet[7]!,
    trafficClass,
    source: text(8),
    destination: text(24),
  } as const;
  return udp ? { ...udp, ...ip } : 'unreadable';
}

type Datagram = Pick<UdpPacket, 'sourcePort' | 'destinationPort' | 'payload' | 'checksum'>;

/** Undefined: its length is not that of what it is in. `addresses`: source and destination, as the IP header has them. */
function readUdp(datagram: Buffer, addresses: Buffer): Datagram | undefined {
  const length = datagram.readUInt16BE(4);
  if (length < UDP_HEADER || length > datagram.length) return undefined;
  const pseudo = Buffer.alloc(4);
  pseudo.writeUInt16BE(UDP, 0);
  pseudo.writeUInt16BE(length, 2);
  const sum = onesComplementSum([addresses, pseudo, datagram.subarray(0, length)]);
  return {
    sourcePort: datagram.readUInt16BE(0),
    destinationPort: datagram.readUInt16BE(2),
    payload: datagram.subarray(UDP_HEADER, length),
    checksum: datagram.readUInt16BE(6) === 0 ? 'none' : sum === 0xffff ? 'right' : 'wrong',
  };
}

/** RFC 1071; 0xffff over data that includes its own right checksum. */
function onesComplementSum(parts: readonly Buffer[]): number {
  let sum = 0;
  for (const part of parts)
    for (let i = 0; i < part.length; i += 2) {
      sum += (part[i]! << 8) | (part[i + 1] ?? 0);
      if (sum > 0xffff) sum -= 0xffff;
    }
  return sum;
}

/** Without `::`. */
function ipv6Text(bytes: Buffer): string {
  return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(':');
}
