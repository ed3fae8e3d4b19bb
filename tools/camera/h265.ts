// SPDX-License-Identifier: Apache-2.0
// An H.265 byte stream as pictures and RTP payloads (RFC 7798): single NAL units, and fragments (4.4.3) of those that do not
// fit. B pictures may stand between two others and refer to nothing else, as with one level of them.

import { splitNals } from './annexb.js';

/** VPS, SPS, PPS. */
const SETS = [32, 33, 34];
const FIRST_NON_VCL = 32;
const FRAGMENT = 49;
const NAL_HEADER = 2;
const FU_HEADER = 1;

export interface H265Picture {
  readonly nals: readonly Buffer[];
  /** Its place in the order in which pictures are shown, from 0. */
  readonly shown: number;
}

export interface H265Clip {
  readonly pictures: readonly H265Picture[];
  /** SDP attributes of the format (7.1), without payload type. */
  readonly parameters: string;
}

/** nal_unit_type (7.3.1.2 of ITU-T H.265). */
export function h265Type(nal: Buffer): number {
  return (nal.readUInt8(0) >> 1) & 0x3f;
}

/** TemporalId: the temporal layer. */
export function temporalOf(nal: Buffer): number {
  return (nal.readUInt8(1) & 7) - 1;
}

/** Undefined: it does not begin with the parameter sets of H.265. */
export function readH265(stream: Buffer): H265Clip | undefined {
  const nals = splitNals(stream).filter((nal) => nal.length > NAL_HEADER);
  const sets = SETS.map((type, i) => (nals[i] && h265Type(nals[i]) === type ? nals[i] : undefined));
  if (sets.some((set) => set === undefined)) return undefined;
  const [vps, sps, pps] = sets.map((set) => set!.toString('base64'));
  return { pictures: inOrder(group(nals)), parameters: `sprop-vps=${vps};sprop-sps=${sps};sprop-pps=${pps}` };
}

/** Parameter sets and SEI belong to the picture behind them. */
function group(nals: readonly Buffer[]): Buffer[][] {
  const pictures: Buffer[][] = [];
  let before: Buffer[] = [];
  for (const nal of nals) {
    const isSlice = h265Type(nal) < FIRST_NON_VCL;
    const isFirst = isSlice && (nal.readUInt8(NAL_HEADER) & 0x80) !== 0; // first_slice_segment_in_pic_flag
    if (isSlice && !isFirst) pictures.at(-1)?.push(...before, nal);
    else if (isFirst) pictures.push([...before, nal]);
    before = isSlice ? [] : [...before, nal];
  }
  return pictures;
}

/** A picture of layer 0 is shown behind those of layer 1 that follow it. */
function inOrder(pictures: readonly Buffer[][]): H265Picture[] {
  const isUpper = (nals: readonly Buffer[] | undefined) => nals !== undefined && temporalOf(nals.at(-1)!) > 0;
  return pictures.map((nals, i) => {
    if (isUpper(nals)) return { nals, shown: i - 1 };
    let following = 0;
    while (isUpper(pictures[i + 1 + following])) following++;
    return { nals, shown: i + following };
  });
}

/** @param maxPayload bytes, at least 16. */
export function packetizeH265(nals: readonly Buffer[], maxPayload: number): Buffer[] {
  if (maxPayload < 16) throw new RangeError(`RTP payloads of ${maxPayload} bytes`);
  return nals.flatMap((nal) => (nal.length <= maxPayload ? [nal] : fragment(nal, maxPayload)));
}

function fragment(nal: Buffer, maxPayload: number): Buffer[] {
  const room = maxPayload - NAL_HEADER - FU_HEADER;
  const header = Buffer.from([(nal.readUInt8(0) & 0x81) | (FRAGMENT << 1), nal.readUInt8(1)]);
  const fragments: Buffer[] = [];
  for (let at = NAL_HEADER; at < nal.length; at += room) {
    const start = at === NAL_HEADER ? 0x80 : 0;
    const end = at + room >= nal.length ? 0x40 : 0;
    fragments.push(
      Buffer.concat([header, Buffer.from([start | end | h265Type(nal)]), nal.subarray(at, at + room)]),
    );
  }
  return fragments;
}
