// SPDX-License-Identifier: Apache-2.0
// Ranges of IP addresses as people write them: `192.0.2.0/24`, `2001:db8::/32`, or one address alone.

import { addressBytes, withoutZone } from './address.js';

export interface AddressRange {
  /** As it was written. */
  readonly text: string;
  /** Of the network: four bytes or sixteen. */
  readonly bytes: Uint8Array;
  /** How many leading bits of an address count. */
  readonly bits: number;
}

/** Undefined: it is none, or it has bits behind its prefix, which is more often a slip than meant. */
export function parseAddressRange(text: string): AddressRange | undefined {
  const [, address, prefix] = /^([\da-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  if (address === undefined) return undefined;
  let bytes: Uint8Array;
  try {
    bytes = addressBytes(address);
  } catch {
    return undefined;
  }
  const bits = prefix === undefined ? 8 * bytes.length : Number(prefix);
  if (bits > 8 * bytes.length || !isZeroFrom(bytes, bits)) return undefined;
  return { text, bytes, bits };
}

/** `address` in its one spelling (address.ts). Its zone does not count. */
export function inRange({ bytes, bits }: AddressRange, address: string): boolean {
  const other = addressBytes(withoutZone(address));
  if (other.length !== bytes.length) return false;
  const difference = bytes.map((byte, i) => byte ^ other[i]!);
  const whole = bits >> 3;
  return (
    difference.subarray(0, whole).every((byte) => byte === 0) &&
    (bits % 8 === 0 || difference[whole]! >> (8 - (bits % 8)) === 0)
  );
}

function isZeroFrom(bytes: Uint8Array, bits: number): boolean {
  return bytes.every((byte, i) => (byte & (0xff >> Math.min(8, Math.max(0, bits - 8 * i)))) === 0);
}
