// SPDX-License-Identifier: Apache-2.0
// Whether a decoder can begin with an RTP packet: the first of an intra picture, or of the parameter sets before one.
// H.264 RFC 6184, H.265 RFC 7798, VP8 RFC 7741, VP9 RFC 9628, AV1 (AOM's RTP payload format). The twin of bpf/picture.h,
// step by step: one table of packets (test/fixtures/picture-cases.ts) tests both.
import { RTP_HEADER } from './header.js';

/** What is sent, by its name in a=rtpmap, and its payload type. */
export interface Encoding {
  readonly name: string;
  readonly payloadType: number;
  /** AV1: id of dependency descriptors among the RTP header extensions. */
  readonly descriptorId?: number | undefined;
}

/** NAL units of an aggregation packet that are looked at: parameter sets come first. */
const MOST_AGGREGATED = 8;
/** Of FU headers; also first_mb_in_slice == 0 in H.264 and first_slice_segment_in_pic_flag in H.265. */
const START_BIT = 0x80;
const H264 = { IDR: 5, SPS: 7, STAP_A: 24, FU_A: 28 } as const;
/** BLA to CRA: BLA, IDR and CRA pictures. */
const H265 = { BLA: 16, CRA: 21, VPS: 32, SPS: 33, AP: 48, FU: 49 } as const;

const BEGINS = new Map<string, (payload: Buffer) => boolean>([
  ['H264', h264Begins],
  ['H264-SVC', h264Begins], // RFC 6190: its base layer is plain H.264
  ['H265', h265Begins],
  ['VP8', vp8Begins],
  ['VP9', vp9Begins],
  ['AV1', av1Begins],
]);

/** Whether the beginning of a picture can be told for packets of that encoding. */
export function tellsPictures(encoding: Encoding | undefined): encoding is Encoding {
  return encoding !== undefined && BEGINS.has(encoding.name.toUpperCase());
}

/** Never throws; a packet that cannot be understood begins nothing. */
export function beginsPicture(packet: Buffer, { name, payloadType }: Encoding): boolean {
  const header = headerLength(packet);
  if (header === undefined || (packet[1]! & 0x7f) !== payloadType) return false;
  return BEGINS.get(name.toUpperCase())?.(packet.subarray(header)) ?? false;
}

/** With CSRCs and extension (RFC 3550 5.1, 5.3.1); undefined when nothing is left behind it. */
function headerLength(packet: Buffer): number | undefined {
  if (packet.length < RTP_HEADER) return undefined;
  let length = RTP_HEADER + 4 * (packet[0]! & 0x0f);
  if (packet[0]! & 0x10) {
    if (length + 4 > packet.length) return undefined;
    length += 4 + 4 * packet.readUInt16BE(length + 2);
  }
  return length < packet.length ? length : undefined;
}

function h264Begins(b: Buffer): boolean {
  if (b.length < 3) return false;
  switch (b[0]! & 0x1f) {
    case H264.STAP_A:
      return aggregateBegins(b, 1, h264NalBegins);
    case H264.FU_A: // the NAL unit header is spread over the first two bytes
      return (b[1]! & START_BIT) !== 0 && h264NalBegins(b.subarray(1));
    default:
      return h264NalBegins(b);
  }
}

/** A slice begins a picture when the Exp-Golomb code of first_mb_in_slice is that of 0: one bit that is set. */
function h264NalBegins(nal: Buffer): boolean {
  const type = nal[0]! & 0x1f;
  return type === H264.SPS || (type === H264.IDR && (nal[1]! & START_BIT) !== 0);
}

function h265Begins(b: Buffer): boolean {
  if (b.length < 4) return false;
  switch ((b[0]! >> 1) & 0x3f) {
    case H265.AP:
      return aggregateBegins(b, 2, (nal) => h265NalBegins((nal[0]! >> 1) & 0x3f, nal[2]!));
    case H265.FU:
      return (b[2]! & START_BIT) !== 0 && h265NalBegins(b[2]! & 0x3f, b[3]!);
    default:
      return h265NalBegins((b[0]! >> 1) & 0x3f, b[2]!);
  }
}

/** `first` is the byte after the NAL unit header. */
function h265NalBegins(type: number, first: number): boolean {
  if (type === H265.VPS || type === H265.SPS) return true;
  return type >= H265.BLA && type <= H265.CRA && (first & START_BIT) !== 0;
}

/** Two bytes of size before each NAL unit; one of less than three bytes at the end is not looked at. */
function aggregateBegins(b: Buffer, header: number, nalBegins: (nal: Buffer) => boolean): boolean {
  let at = header;
  for (let unit = 0; unit < MOST_AGGREGATED && at + 5 <= b.length; unit++) {
    if (nalBegins(b.subarray(at + 2, at + 5))) return true;
    at += 2 + b.readUInt16BE(at);
  }
  return false;
}

/** Payload descriptor, then the payload header, whose lowest bit is 0 in a key frame. */
function vp8Begins(b: Buffer): boolean {
  // S: start of a partition, and that the first
  if (b.length < 2 || !(b[0]! & 0x10) || b[0]! & 0x07) return false;
  let header = 1;
  if (b[0]! & 0x80) {
    const extension = b[1]!;
    header++;
    if (extension & 0x80) {
      if (b.length < 3) return false;
      header += b[2]! & 0x80 ? 2 : 1; // picture id of one byte, or two
    }
    if (extension & 0x40) header++; // L
    if (extension & 0x30) header++; // T, K
  }
  return header < b.length && (b[header]! & 1) === 0;
}

/** I P L F B E V Z: the beginning of a frame that is not predicted from others, in the lowest spatial layer. */
function vp9Begins(b: Buffer): boolean {
  if (b.length < 1 || !(b[0]! & 0x08) || b[0]! & 0x40) return false;
  if (!(b[0]! & 0x20)) return true;
  let at = 1;
  if (b[0]! & 0x80) {
    if (b.length < 2) return false;
    at += b[1]! & 0x80 ? 2 : 1;
  }
  return at < b.length && ((b[at]! >> 1) & 7) === 0;
}

/** N: the first packet of a coded video sequence. */
function av1Begins(b: Buffer): boolean {
  return b.length >= 1 && (b[0]! & 0x08) !== 0;
}
