// SPDX-License-Identifier: Apache-2.0
// What a viewer got of a layered H.264 stream, looked at as a decoder would: pictures out of RTP packets, which layers each
// has, where sequence numbers have gaps, and whether OpenH264 decodes them without an error.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

import { dependencyOf, NAL_IDR, NAL_SLICE, nalType } from '../camera/annexb.js';

const RTP_HEADER = 12;
const STAP_A = 24;
const FU_A = 28;
const DECODER = 'build/svc/svc-decode';
const START_CODE = Buffer.from([0, 0, 0, 1]);

export interface ReceivedPicture {
  readonly timestamp: number;
  /** Sequence number of its first packet. */
  readonly seq: number;
  readonly nals: readonly Buffer[];
  /** Highest dependency_id in it. */
  readonly top: number;
  readonly isIdr: boolean;
  /** It has a base picture, each fragment, and its last packet is marked. */
  readonly isWhole: boolean;
  /** Between its first packet and the next picture's no sequence number is missing. */
  readonly isContinuous: boolean;
}

/** `packets`: RTP, in the order of their sequence numbers, each once. The last picture is left out: it may go on. */
export function receivedPictures(packets: readonly Buffer[]): ReceivedPicture[] {
  const groups: Buffer[][] = [];
  for (const packet of packets) {
    const last = groups.at(-1);
    if (last && last[0]!.readUInt32BE(4) === packet.readUInt32BE(4)) last.push(packet);
    else groups.push([packet]);
  }
  return groups.slice(0, -1).map((group, i) => pictureOf(group, groups[i + 1]![0]!));
}

function pictureOf(group: readonly Buffer[], next: Buffer): ReceivedPicture {
  const { nals, isWhole } = nalsOf(group.map((packet) => packet.subarray(RTP_HEADER)));
  const base = nals.filter((nal) => [NAL_SLICE, NAL_IDR].includes(nalType(nal)));
  const isMarked = (group.at(-1)!.readUInt8(1) & 0x80) !== 0;
  const sequence = [...group, next].map((packet) => packet.readUInt16BE(2));
  return {
    timestamp: group[0]!.readUInt32BE(4),
    seq: sequence[0]!,
    nals,
    top: Math.max(...nals.map(dependencyOf), 0),
    isIdr: base.some((nal) => nalType(nal) === NAL_IDR),
    isWhole: isWhole && isMarked && base.length > 0,
    isContinuous: sequence.every((seq, i) => i === 0 || seq === ((sequence[i - 1]! + 1) & 0xffff)),
  };
}

/** Not strict: what is lost is left out, and told. */
function nalsOf(payloads: readonly Buffer[]): { nals: Buffer[]; isWhole: boolean } {
  const nals: Buffer[] = [];
  let open: Buffer[] | undefined;
  let isWhole = true;
  for (const payload of payloads) {
    const type = payload.readUInt8(0) & 0x1f;
    if (type !== FU_A) {
      if (open) isWhole = false;
      open = undefined;
      if (type === STAP_A) nals.push(...aggregated(payload));
      else if (payload.length > 1) nals.push(payload);
      continue;
    }
    const [indicator = 0, header = 0] = payload;
    if (header & 0x80) {
      if (open) isWhole = false;
      open = [Buffer.from([(indicator & 0xe0) | (header & 0x1f)])];
    }
    if (!open) isWhole = false;
    open?.push(payload.subarray(2));
    if (header & 0x40 && open) nals.push(Buffer.concat(open));
    if (header & 0x40) open = undefined;
  }
  return { nals, isWhole: isWhole && !open };
}

function aggregated(payload: Buffer): Buffer[] {
  const nals: Buffer[] = [];
  for (let at = 1; at + 2 <= payload.length;) {
    const end = at + 2 + payload.readUInt16BE(at);
    nals.push(payload.subarray(at + 2, end));
    at = end;
  }
  return nals;
}

/** Why pictures cannot be decoded here; undefined: they can. */
export function cannotDecode(): string | undefined {
  return existsSync(DECODER) ? undefined : `${DECODER} is not built (it needs libopenh264-dev and gcc)`;
}

export interface Decoded {
  /** OpenH264's DECODING_STATE: 0 is no error. */
  readonly state: number;
  /** 0: no picture came out. */
  readonly width: number;
  readonly height: number;
}

/** One result for each, in order; the first should be an IDR picture with its parameter sets. @throws when it does not run. */
export function decodePictures(pictures: readonly Pick<ReceivedPicture, 'nals'>[]): Decoded[] {
  const input = pictures.flatMap(({ nals }) => {
    const stream = Buffer.concat(nals.flatMap((nal) => [START_CODE, nal]));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(stream.length);
    return [length, stream];
  });
  const { status, stdout, stderr, error } = spawnSync(DECODER, {
    input: Buffer.concat(input),
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`${DECODER}: ${error?.message ?? stderr}`);
  const lines = stdout.toString().trim().split('\n');
  return lines.map((line) => {
    const [state = NaN, width = NaN, height = NaN] = line.split(' ').map(Number);
    return { state, width, height };
  });
}
