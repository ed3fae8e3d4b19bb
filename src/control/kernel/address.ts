// SPDX-License-Identifier: Apache-2.0
// Addresses as the ABI wants them: 16 bytes in network order, IPv4 mapped into IPv6.
import { addressBytes } from '../state/address.js';

const IPV4_MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** RFC 1112 6.4: the group's low 23 bits. */
export function multicastMac(group: string): Buffer {
  const [, second, third, fourth] = addressBytes(group);
  return Buffer.from([0x01, 0x00, 0x5e, second! & 0x7f, third!, fourth!]);
}

/** Sixteen bytes, of IPv4 as ::ffff:a.b.c.d. Throws TypeError for what is no IP address. */
export function abiAddress(address: string): Uint8Array {
  const bytes = addressBytes(address);
  return bytes.length === 16 ? bytes : Uint8Array.from([...IPV4_MAPPED, ...bytes]);
}
