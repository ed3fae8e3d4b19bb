// SPDX-License-Identifier: Apache-2.0
// IP addresses as text and as bytes. Everywhere here an address has one spelling only (RFC 5952; IPv4 never mapped into
// IPv6), so that texts can be compared; a link-local one has the zone that Node gives it (`fe80::1%eth0`, RFC 4007 11).

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const MAPPED = '::ffff:';
const MAPPED_BYTES = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

export type Family = 4 | 6;

/** Of an address that is one. */
export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4;
}

/** An IPv4 address that came through an IPv6 socket (`::ffff:192.0.2.1`) is an IPv4 address. */
export function plainAddress(address: string): string {
  return address.startsWith(MAPPED) && address.includes('.') ? address.slice(MAPPED.length) : address;
}

export function withoutZone(address: string): string {
  return address.split('%', 1)[0]!;
}

/** `eth0` of `fe80::1%eth0`. */
export function zoneOf(address: string): string | undefined {
  return address.split('%', 2)[1];
}

/** RFC 4291 2.5.6: such an address means something only together with its zone. */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(address);
}

/** Four bytes or sixteen; the zone is left out. Throws TypeError for what is no IP address. */
export function addressBytes(address: string): Uint8Array {
  if (IPV4.test(address)) return Uint8Array.from(address.split('.').map(Number));
  const [head = '', tail] = rfc5952(withoutZone(address)).split('::');
  const before = groups(head);
  const after = groups(tail ?? '');
  const zeros = new Array<number>(8 - before.length - after.length).fill(0);
  return Uint8Array.from([...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]));
}

/** Of four bytes or sixteen. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (MAPPED_BYTES.every((byte, i) => bytes[i] === byte)) return bytes.subarray(12).join('.');
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16));
  return rfc5952(words.join(':'));
}

/** The one spelling of an address; undefined for what is none. */
export function canonicalAddress(text: string): string | undefined {
  const zone = zoneOf(text);
  try {
    return addressText(addressBytes(text)) + (zone === undefined ? '' : `%${zone}`);
  } catch {
    return undefined;
  }
}

/** `192.0.2.1:8554`, `[2001:db8::1]:8554`; a host name will do as well. */
export function endpointText(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whom an address belongs to, as far as it tells: an IPv6 host has a /64 of them at will (RFC 4862, 8981). */
export function holderOf(address: string): string {
  return familyOf(address) === 4 ? address : `${addressText(addressBytes(address).fill(0, 8))}/64`;
}

/** RFC 5952, of an IPv6 address without zone: the URL parser knows how. */
function rfc5952(address: string): string {
  try {
    if (/^[\da-f.]*:[\da-f.:]*$/i.test(address)) return new URL(`http://[${address}]`).hostname.slice(1, -1);
  } catch {
    // said below
  }
  throw new TypeError(`not an IP address: ${address}`);
}

function groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => parseInt(group, 16));
}
