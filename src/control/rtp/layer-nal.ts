// SPDX-License-Identifier: Apache-2.0
// Layers of H.264 SVC (RFC 6184, 6190) and H.265 (RFC 7798), from NAL unit headers.
import { ENTERS, lower, MOST_UNITS, type Enters, type Ids, type Told } from './layer.js';

const START = 0x80;
const END = 0x40;
const H264 = {
  PREFIX: 14,
  SCALABLE: 20,
  STAP_A: 24,
  STAP_B: 25,
  MTAP16: 26,
  MTAP24: 27,
  FU_A: 28,
  FU_B: 29,
  PACSI: 30,
  EXTENDED: 31,
} as const;
/** Subtype of EXTENDED. */
const NI_MTAP = 2;
const H265 = { TSA: 2, STSA: 4, RADL: 6, BLA: 16, CRA: 21, AP: 48, FU: 49, PACI: 50 } as const;
const BASE: Ids = { spatial: 0, temporal: 0 };

/** What has been seen of a packet's units. */
class SvcUnits {
  told = false;
  ids: Ids | undefined;
  enters: Enters | undefined;

  /** `bytes` is the unit, or as much of it as the packet has. False: it is too short. */
  add(type: number, extension: Buffer): boolean {
    if (!hasExtension(type)) return this.#plain();
    if (extension.length < 3) return false;
    const [first, second, third] = [extension[0]!, extension[1]!, extension[2]!];
    // R (svc_extension_flag) is 0 in MVC, whose views are no layers.
    if (type !== H264.PACSI && !(first & 0x80)) {
      this.ids = { spatial: 0, temporal: this.ids?.temporal ?? 0 };
      return true;
    }
    this.told = true;
    const ids = { spatial: (second >> 4) & 7, temporal: third >> 5 };
    const lowest = this.ids?.spatial ?? 8;
    if (ids.spatial < lowest) this.enters = undefined;
    if (type !== H264.PACSI && first & 0x40 && ids.spatial <= lowest) this.enters = ENTERS.own;
    this.ids = lower(this.ids, ids);
    return true;
  }

  #plain(): boolean {
    this.ids = { spatial: 0, temporal: this.ids?.temporal ?? 0 };
    this.enters = undefined;
    return true;
  }
}

function hasExtension(type: number): boolean {
  return type === H264.PREFIX || type === H264.SCALABLE || type === H264.PACSI;
}

export function tellH264(b: Buffer): Told | undefined {
  if (b.length < 1) return undefined;
  const type = b[0]! & 0x1f;
  switch (type) {
    case H264.STAP_A:
      return svcAggregate(b, 1, 2, false);
    case H264.STAP_B:
      return svcAggregate(b, 3, 2, true);
    case H264.MTAP16:
      return svcAggregate(b, 3, 5, true);
    case H264.MTAP24:
      return svcAggregate(b, 3, 6, true);
    case H264.FU_A:
      return svcFragment(b, 2, false);
    case H264.FU_B:
      return svcFragment(b, 4, true);
    case H264.EXTENDED:
      if (b.length < 2 || b[1]! >> 3 !== NI_MTAP) return undefined;
      return svcAggregate(b, 2, b[1]! & 0x04 ? 6 : 4, false); // J: with decoding order numbers
  }
  const units = new SvcUnits();
  return units.add(type, b.subarray(1)) ? svcTold(units, { interleaved: false }) : undefined;
}

function svcTold(units: SvcUnits, more: Partial<Told>): Told {
  const { told, ids, enters } = units;
  return {
    notion: told ? 'dependency' : 'none',
    ids,
    rest: false,
    open: undefined,
    enters: { spatial: enters },
    ...more,
  };
}

/** `skip`: bytes between a unit's size and the unit, the size included. */
function svcAggregate(b: Buffer, header: number, skip: number, interleaved: boolean): Told | undefined {
  const units = new SvcUnits();
  let at = header;
  for (let looked = 0; looked < MOST_UNITS; looked++) {
    if (at === b.length) return svcTold(units, { interleaved });
    if (at + 2 > b.length) return undefined;
    const [unit, length] = [at + skip, b.readUInt16BE(at)];
    if (unit + length > b.length) return undefined;
    if (length > 0 && !units.add(b[unit]! & 0x1f, b.subarray(unit + 1, unit + length))) return undefined;
    at = unit + length;
  }
  return undefined;
}

/** Only the first fragment has the extension. */
function svcFragment(b: Buffer, header: number, interleaved: boolean): Told | undefined {
  if (b.length < 2) return undefined;
  const fu = b[1]!;
  const units = new SvcUnits();
  if (!hasExtension(fu & 0x1f)) {
    units.add(fu & 0x1f, b);
    return svcTold(units, { interleaved });
  }
  const open = !(fu & END);
  if (!(fu & START)) return svcTold(units, { rest: true, open: open ? 'same' : undefined, interleaved });
  if (!units.add(fu & 0x1f, b.subarray(header))) return undefined;
  return svcTold(units, { open: open ? units.ids : undefined, interleaved });
}

/** What a unit of that type lets enter. */
class H265Units {
  enters: Enters | undefined;
  picture: Told['picture'];
  readonly #temporal: number;

  constructor(temporal: number) {
    this.#temporal = temporal;
  }

  add(type: number): void {
    if (type === H265.CRA) {
      this.picture = 'cra';
    } else if (type >= H265.BLA && type < H265.CRA) {
      this.enters = ENTERS.all;
    } else if (type < H265.RADL) {
      this.picture = 'trailing';
      if (this.enters || this.#temporal === 0) return;
      if (type === H265.TSA || type === H265.TSA + 1) this.enters = ENTERS.on;
      else if (type === H265.STSA || type === H265.STSA + 1) this.enters = ENTERS.next;
    }
  }
}

/** Every payload header has the (lowest) temporal id; what a packet lets enter is told by its units. */
export function tellH265(b: Buffer): Told | undefined {
  if (b.length < 2 || !(b[1]! & 7)) return undefined;
  const temporal = (b[1]! & 7) - 1;
  const type = (b[0]! >> 1) & 0x3f;
  let units = new H265Units(temporal);
  if (type === H265.AP) units = aggregatedH265(b, temporal);
  else if (type === H265.FU) {
    if (b.length > 2) units.add(b[2]! & 0x3f);
  } else if (type === H265.PACI) {
    if (b.length > 2) units.add((b[2]! >> 1) & 0x3f);
  } else units.add(type);
  const { enters, picture } = units;
  return {
    notion: 'temporal',
    ids: { spatial: BASE.spatial, temporal },
    rest: false,
    open: undefined,
    enters: { temporal: enters },
    picture,
  };
}

/** Nothing when it is not understood to its end: there may be decoding order numbers, of which only the SDP knows. */
function aggregatedH265(b: Buffer, temporal: number): H265Units {
  const units = new H265Units(temporal);
  let at = 2;
  for (let looked = 0; looked < MOST_UNITS; looked++) {
    if (at === b.length) return units;
    if (at + 4 > b.length) break;
    const length = b.readUInt16BE(at);
    if (length < 2 || (b[at + 3]! & 7) - 1 !== temporal) break;
    units.add((b[at + 2]! >> 1) & 0x3f);
    at += 2 + length;
  }
  return new H265Units(temporal);
}
