// SPDX-License-Identifier: Apache-2.0
// Reads an H.264 byte stream (ITU-T H.264 Annex B), layered (Annex G, SVC) or not, as pictures made of NAL units.

export const NAL_SLICE = 1;
export const NAL_IDR = 5;
export const NAL_SPS = 7;
export const NAL_PPS = 8;
/** In front of each slice of the base layer. */
export const NAL_PREFIX = 14;
export const NAL_SUBSET_SPS = 15;
/** Slice of a layer above the base. */
export const NAL_EXTENSION = 20;

const START_CODE = Buffer.from([0, 0, 1]);

export interface Picture {
  /** Without start codes, in the stream's order; parameter sets and SEI belong to the picture that follows them. */
  readonly nals: readonly Buffer[];
}

export function nalType(nal: Buffer): number {
  return nal.readUInt8(0) & 0x1f;
}

/** dependency_id (G.7.3.1.1): the spatial layer; 0 where the NAL unit has none. */
export function dependencyOf(nal: Buffer): number {
  const isExtended = (nalType(nal) === NAL_PREFIX || nalType(nal) === NAL_EXTENSION) && nal.length > 3;
  return isExtended ? (nal.readUInt8(2) >> 4) & 7 : 0;
}

export function splitNals(stream: Buffer): Buffer[] {
  const nals: Buffer[] = [];
  let begin = stream.indexOf(START_CODE);
  while (begin >= 0) {
    begin += START_CODE.length;
    const next = stream.indexOf(START_CODE, begin);
    let end = next < 0 ? stream.length : next;
    while (end > begin && stream[end - 1] === 0) end--; // zero_byte and trailing_zero_8bits
    if (end > begin) nals.push(stream.subarray(begin, end));
    begin = next;
  }
  return nals;
}

/** Groups by the rules of 7.4.1.2.3 and .4, as far as a stream without redundant or auxiliary pictures needs them. */
export function groupPictures(nals: readonly Buffer[]): Picture[] {
  const pictures: Buffer[][] = [];
  let current: Buffer[] = [];
  let hasSlice = false;
  let prefix: Buffer[] = []; // whose slice tells where it belongs
  for (const nal of nals) {
    if (nalType(nal) === NAL_PREFIX) {
      prefix.push(nal);
      continue;
    }
    const isExtension = nalType(nal) === NAL_EXTENSION;
    const isSlice = nalType(nal) >= NAL_SLICE && nalType(nal) <= NAL_IDR;
    const isFirstSlice = isSlice && nal.length > 1 && (nal.readUInt8(1) & 0x80) !== 0; // first_mb_in_slice is 0
    if (hasSlice && !isExtension && (!isSlice || isFirstSlice)) {
      pictures.push(current);
      current = [];
      hasSlice = false;
    }
    current.push(...prefix, nal);
    prefix = [];
    hasSlice ||= isSlice;
  }
  if (hasSlice) pictures.push(current);
  return pictures.map((of) => ({ nals: of }));
}
