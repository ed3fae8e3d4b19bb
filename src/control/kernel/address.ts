// SPDX-License-Identifier: Apache-2.0
// Addresses as the ABI wants them: 16 bytes in network order, IPv4 mapped into IPv6.
import { isIPv4 } from 'node:net';

const IPV4_MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** `192.0.2.1` -> its four bytes. Throws TypeError for anything else. */
export function ipv4Bytes(address: string): number[] {
  if (!isIPv4(address)) throw new TypeError(`not an IPv4 address: ${address}`);
  return address.split('.').map(Number);
}

/** RFC 1112 6.4: the group's low 23 bits. */
export function multicastMac(group: string): Buffer {
  const [, second, third, fourth] = ipv4Bytes(group);
  return Buffer.from([0x01, 0x00, 0x5e, second! & 0x7f, third!, fourth!]);
}

/** Sixteen bytes of an IPv4 address (as ::ffff:a.b.c.d). IPv6 comes with the kernel's IPv6 path. */
export function abiAddress(address: string): Uint8Array {
  return Uint8Array.from([...IPV4_MAPPED, ...ipv4Bytes(address)]);
}
