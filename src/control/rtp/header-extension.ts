// SPDX-License-Identifier: Apache-2.0
// RTP header extensions (RFC 3550 5.3.1) that hold elements of several kinds: RFC 8285, its one-byte and its two-byte form. The
// twin of find_element in bpf/descriptor.h.
import { RTP_HEADER } from './header.js';

/** RFC 8285 4.2, and 4.3, where the last four bits are free. */
const ONE_BYTE = 0xbede;
const TWO_BYTE = 0x1000;
/** Elements, and bytes of padding between them, that are looked at. */
const MOST_ELEMENTS = 64;

/** The first element of that id, of a packet whose RTP header is whole; undefined: there is none. Never throws. */
export function extensionElement(packet: Buffer, id: number): Buffer | undefined {
  const from = RTP_HEADER + 4 * (packet[0]! & 0x0f);
  if (!(packet[0]! & 0x10) || from + 4 > packet.length) return undefined;
  const profile = packet.readUInt16BE(from);
  const wide = (profile & 0xfff0) === TWO_BYTE;
  if (!wide && profile !== ONE_BYTE) return undefined;
  const elements = packet.subarray(from + 4, from + 4 + 4 * packet.readUInt16BE(from + 2));
  let at = 0;
  for (let i = 0; i < MOST_ELEMENTS && at < elements.length; i++) {
    if (elements[at] === 0) {
      at++;
      continue;
    }
    const element = readElement(elements, at, wide);
    if (!element || element.end > elements.length) return undefined;
    if (element.id === id) return elements.subarray(element.begin, element.end);
    at = element.end;
  }
  return undefined;
}

/** Undefined: it is cut, or what follows is to be ignored (ids 0 and 15 of the one-byte form). */
function readElement(
  b: Buffer,
  at: number,
  wide: boolean,
): { readonly id: number; readonly begin: number; readonly end: number } | undefined {
  if (wide) {
    if (at + 1 >= b.length) return undefined;
    return { id: b[at]!, begin: at + 2, end: at + 2 + b[at + 1]! };
  }
  const id = b[at]! >> 4;
  return id === 0 || id === 15 ? undefined : { id, begin: at + 1, end: at + 2 + (b[at]! & 15) };
}
