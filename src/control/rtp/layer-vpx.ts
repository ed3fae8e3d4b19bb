// SPDX-License-Identifier: Apache-2.0
// Layers of VP9 (RFC 9628, from its payload descriptor) and AV1 (AOM's RTP payload format, from OBU extension headers).
import { ENTERS, lower, MOST_UNITS, type Ids, type Told } from './layer.js';

/** I P L F B E V Z */
export function tellVp9(b: Buffer): Told | undefined {
  if (b.length < 1) return undefined;
  const flags = b[0]!;
  let at = 1;
  if (flags & 0x80) {
    if (at >= b.length) return undefined;
    at += b[at]! & 0x80 ? 2 : 1;
  }
  if (!(flags & 0x20) || at >= b.length) return undefined;
  const indices = b[at]!;
  const ids = { temporal: indices >> 5, spatial: (indices >> 1) & 7 };
  const predicted = (flags & 0x40) !== 0;
  const spatial = ids.spatial > 0 || hasLayers(b, flags, at + 1);
  return {
    notion: spatial ? 'spatial' : 'temporal',
    ids,
    rest: false,
    open: undefined,
    enters: predicted
      ? { temporal: indices & 0x10 ? ENTERS.above : undefined } // U
      : {
          temporal: ids.spatial === 0 ? ENTERS.all : undefined,
          spatial: flags & 0x08 ? ENTERS.own : undefined,
        },
    layerEnds: (flags & 0x04) !== 0,
  };
}

/** Behind layer indices: reference indices, then the scalability structure, which begins with how many there are. */
function hasLayers(b: Buffer, flags: number, from: number): boolean {
  let at = from;
  if (!(flags & 0x10)) at++;
  else if (flags & 0x40) {
    for (let i = 0, more = 1; i < 3 && more; i++) {
      if (at >= b.length) return false;
      more = b[at++]! & 1;
    }
  }
  return (flags & 0x02) !== 0 && at < b.length && b[at]! >> 5 > 0;
}

/** Z Y W W N, then OBU elements. The first goes on from a packet before where Z is set. */
export function tellAv1(b: Buffer): Told | undefined {
  if (b.length < 1) return undefined;
  const flags = b[0]!;
  const units = av1Units(b, { rest: (flags & 0x80) !== 0, count: (flags >> 4) & 3 });
  const enters = flags & 0x08 ? ENTERS.all : undefined; // N
  return (
    units && {
      notion: units.notion,
      ids: units.ids,
      rest: (flags & 0x80) !== 0,
      open: flags & 0x40 ? units.last : undefined,
      enters: { temporal: enters, spatial: enters },
    }
  );
}

interface Av1Units {
  notion: Told['notion'];
  ids: Ids | undefined;
  last: Ids | 'same';
}

/** With `count` not 0 there are so many, and the last has no size. */
function av1Units(b: Buffer, { rest, count }: { rest: boolean; count: number }): Av1Units | undefined {
  const units: Av1Units = { notion: 'none', ids: undefined, last: { spatial: 0, temporal: 0 } };
  let at = 1;
  for (let seen = 0; seen < MOST_UNITS;) {
    if (at === b.length || (count > 0 && seen === count)) return at === b.length ? units : undefined;
    seen++;
    const size = seen === count ? { value: b.length - at, bytes: 0 } : leb128(b, at);
    if (!size || at + size.bytes + size.value > b.length) return undefined;
    at += size.bytes;
    if (seen === 1 && rest) units.last = 'same';
    else if (size.value > 0 && !addObu(units, b.subarray(at, at + size.value))) return undefined;
    at += size.value;
  }
  return undefined;
}

/** The extension header has the ids; OBUs without are for all layers. False: it is cut. */
function addObu(units: Av1Units, b: Buffer): boolean {
  const extended = (b[0]! & 0x04) !== 0;
  if (extended && b.length < 2) return false;
  const ids = extended ? { spatial: (b[1]! >> 3) & 3, temporal: b[1]! >> 5 } : { spatial: 0, temporal: 0 };
  units.last = ids;
  units.ids = lower(units.ids, ids);
  if (extended) units.notion = units.notion === 'spatial' || ids.spatial > 0 ? 'spatial' : 'temporal';
  return true;
}

/** At most three groups of seven bits: no element of a packet is longer. */
function leb128(b: Buffer, at: number): { readonly value: number; readonly bytes: number } | undefined {
  let value = 0;
  for (let i = 0; i < 3; i++) {
    if (at + i >= b.length) return undefined;
    value |= (b[at + i]! & 0x7f) << (7 * i);
    if (!(b[at + i]! & 0x80)) return { value, bytes: i + 1 };
  }
  return undefined;
}
