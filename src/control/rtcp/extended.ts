// SPDX-License-Identifier: Apache-2.0
// Extended reports (RFC 3611): the blocks about time, sums and voice are read; those that list single packets, and what
// is yet to be invented, are stepped over by their length.

import { ntpMiddle } from './ntp.js';

/** Block types (RFC 3611 4). Not read: 1 and 2, run lengths of the lost and the duplicate, and 3, times of receipt. */
const REFERENCE_TIME = 4;
const DLRR = 5;
const STATISTICS = 6;
const VOICE = 7;

const BLOCK_HEADER = 4;
const SUB_BLOCK = 12;
/** A metric that was not measured (4.7). */
const UNAVAILABLE = 127;

/** 4.5: what a receiver's reference time is answered with. */
export interface ReferenceAnswer {
  readonly ssrc: number;
  /** Middle 32 bits of its reference time. */
  readonly lrr: number;
  /** Delay since that came, 1/65536 s. */
  readonly dlrr: number;
}

/** 4.6, of the packets between two sequence numbers; what its flags do not announce is left out. */
export interface StatisticsSummary {
  readonly ssrc: number;
  readonly lost?: number;
  readonly duplicates?: number;
  /** RTP timestamp units. */
  readonly jitter?: {
    readonly min: number;
    readonly max: number;
    readonly mean: number;
    readonly deviation: number;
  };
}

/** 4.7; null: not measured. */
export interface VoiceMetrics {
  readonly ssrc: number;
  /** Shares of all packets, 0 to 1. */
  readonly lossRate: number;
  readonly discardRate: number;
  /** Milliseconds. */
  readonly roundTripMs: number;
  readonly endSystemDelayMs: number;
  /** 0 to 100. */
  readonly rFactor: number | null;
  /** 1 to 5. */
  readonly mosListening: number | null;
  readonly mosConversational: number | null;
}

export type ExtendedBlock =
  | { readonly kind: 'reference-time'; readonly ntpMiddle: number }
  | { readonly kind: 'reference-answers'; readonly answers: readonly ReferenceAnswer[] }
  | ({ readonly kind: 'statistics' } & StatisticsSummary)
  | ({ readonly kind: 'voice' } & VoiceMetrics)
  | { readonly kind: 'skipped'; readonly type: number };

export interface ExtendedReport {
  readonly kind: 'xr';
  readonly ssrc: number;
  readonly blocks: readonly ExtendedBlock[];
}

/** `body` is what follows the common header. Undefined when its blocks do not fill it, or one that is read has not its length. */
export function readExtendedReport(body: Buffer): ExtendedReport | undefined {
  if (body.length < 4) return undefined;
  const blocks: ExtendedBlock[] = [];
  for (let at = 4; at < body.length;) {
    if (at + BLOCK_HEADER > body.length) return undefined;
    const end = at + BLOCK_HEADER + body.readUInt16BE(at + 2) * 4;
    if (end > body.length) return undefined;
    const flags = body.readUInt8(at + 1);
    const block = readBlock(body.readUInt8(at), flags, body.subarray(at + BLOCK_HEADER, end));
    if (!block) return undefined;
    blocks.push(block);
    at = end;
  }
  return { kind: 'xr', ssrc: body.readUInt32BE(0), blocks };
}

function readBlock(type: number, flags: number, content: Buffer): ExtendedBlock | undefined {
  switch (type) {
    case REFERENCE_TIME:
      if (content.length !== 8) return undefined;
      return { kind: 'reference-time', ntpMiddle: ntpMiddle(content.readBigUInt64BE(0)) };
    case DLRR:
      if (content.length % SUB_BLOCK !== 0) return undefined;
      return { kind: 'reference-answers', answers: readAnswers(content) };
    case STATISTICS:
      return content.length === 36 ? readStatistics(flags, content) : undefined;
    case VOICE:
      return content.length === 32 ? readVoice(content) : undefined;
    default:
      return { kind: 'skipped', type };
  }
}

function readAnswers(content: Buffer): ReferenceAnswer[] {
  return Array.from({ length: content.length / SUB_BLOCK }, (_, i) => ({
    ssrc: content.readUInt32BE(i * SUB_BLOCK),
    lrr: content.readUInt32BE(i * SUB_BLOCK + 4),
    dlrr: content.readUInt32BE(i * SUB_BLOCK + 8),
  }));
}

function readStatistics(flags: number, content: Buffer): ExtendedBlock {
  const [min, max, mean, deviation] = [16, 20, 24, 28].map((at) => content.readUInt32BE(at));
  return {
    kind: 'statistics',
    ssrc: content.readUInt32BE(0),
    ...(flags & 0x80 && { lost: content.readUInt32BE(8) }),
    ...(flags & 0x40 && { duplicates: content.readUInt32BE(12) }),
    ...(flags & 0x20 && { jitter: { min: min!, max: max!, mean: mean!, deviation: deviation! } }),
  };
}

function readVoice(content: Buffer): ExtendedBlock {
  const metric = (at: number) => {
    const value = content.readUInt8(at);
    return value === UNAVAILABLE ? null : value;
  };
  const mos = (at: number) => {
    const tenths = metric(at);
    return tenths === null ? null : tenths / 10;
  };
  return {
    kind: 'voice',
    ssrc: content.readUInt32BE(0),
    lossRate: content.readUInt8(4) / 256,
    discardRate: content.readUInt8(5) / 256,
    roundTripMs: content.readUInt16BE(12),
    endSystemDelayMs: content.readUInt16BE(14),
    rFactor: metric(20),
    mosListening: mos(22),
    mosConversational: mos(23),
  };
}

/** The body after the common header: our reference time (NTP, 64 bits), and answers to others' as far as there are any. */
export function extendedBody(ssrc: number, ntp: bigint, answers: readonly ReferenceAnswer[]): Buffer {
  const body = Buffer.alloc(
    4 + BLOCK_HEADER + 8 + (answers.length > 0 ? BLOCK_HEADER : 0) + answers.length * SUB_BLOCK,
  );
  body.writeUInt32BE(ssrc, 0);
  body.writeUInt8(REFERENCE_TIME, 4);
  body.writeUInt16BE(2, 6);
  body.writeBigUInt64BE(ntp, 8);
  if (answers.length === 0) return body;
  body.writeUInt8(DLRR, 16);
  body.writeUInt16BE((answers.length * SUB_BLOCK) / 4, 18);
  answers.forEach(({ ssrc: of, lrr, dlrr }, i) => {
    const at = 20 + i * SUB_BLOCK;
    body.writeUInt32BE(of, at);
    body.writeUInt32BE(lrr, at + 4);
    body.writeUInt32BE(dlrr, at + 8);
  });
  return body;
}
