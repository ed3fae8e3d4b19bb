// SPDX-License-Identifier: Apache-2.0
// Compound RTCP packets that we send ourselves (RFC 3550 6.1): a report first, a CNAME always, BYE last.
// Arguments are ours, not the network's: what does not fit its field throws a RangeError.
import { MAX_COUNT, RTCP_BYE, RTCP_HEADER, RTCP_RR, RTCP_SDES, RTCP_SR, RTCP_XR } from './packet.js';
import type { ReportBlock, SenderInfo } from './packet.js';
import { goodbyeBody } from './bye.js';
import { extendedBody, type ReferenceAnswer } from './extended.js';
import { BLOCK_SIZE, SENDER_INFO_SIZE, writeReportBlock, writeSenderInfo } from './report.js';
import { cnameChunk } from './sdes.js';

/** RR and SDES. Without blocks: the empty RR of a receiver that has heard nothing yet. */
export function buildReceiverReport(
  ssrc: number,
  cname: string,
  blocks: readonly ReportBlock[] = [],
): Buffer {
  return Buffer.concat([receiverReport(ssrc, blocks), sourceDescription(ssrc, cname)]);
}

/** XR with our reference time and answers to those of others; goes behind RR and SDES of the same `ssrc`. */
export function buildExtendedReport(
  ssrc: number,
  ntp: bigint,
  answers: readonly ReferenceAnswer[] = [],
): Buffer {
  return packet(RTCP_XR, 0, extendedBody(ssrc, ntp, answers));
}

/** SR and SDES. */
export function buildSenderReport(
  info: SenderInfo,
  cname: string,
  blocks: readonly ReportBlock[] = [],
): Buffer {
  const body = Buffer.alloc(SENDER_INFO_SIZE + blocks.length * BLOCK_SIZE);
  writeSenderInfo(body, 0, info);
  writeBlocks(body, SENDER_INFO_SIZE, blocks);
  return Buffer.concat([packet(RTCP_SR, blocks.length, body), sourceDescription(info.ssrc, cname)]);
}

/** Empty RR, SDES and BYE, all of `ssrc`: tells a viewer that the source is gone. */
export function buildGoodbye(ssrc: number, cname: string, reason?: string): Buffer {
  return Buffer.concat([
    receiverReport(ssrc, []),
    sourceDescription(ssrc, cname),
    packet(RTCP_BYE, 1, goodbyeBody([ssrc], reason)),
  ]);
}

function receiverReport(ssrc: number, blocks: readonly ReportBlock[]): Buffer {
  const body = Buffer.alloc(4 + blocks.length * BLOCK_SIZE);
  body.writeUInt32BE(ssrc, 0);
  writeBlocks(body, 4, blocks);
  return packet(RTCP_RR, blocks.length, body);
}

function sourceDescription(ssrc: number, cname: string): Buffer {
  return packet(RTCP_SDES, 1, cnameChunk(ssrc, cname));
}

function writeBlocks(body: Buffer, at: number, blocks: readonly ReportBlock[]): void {
  blocks.forEach((block, i) => writeReportBlock(body, at + i * BLOCK_SIZE, block));
}

/** `body` is a multiple of four bytes: every writer here sees to it. */
function packet(type: number, count: number, body: Buffer): Buffer {
  if (count > MAX_COUNT) throw new RangeError(`${count} entries in an RTCP packet: at most ${MAX_COUNT}`);
  const header = Buffer.alloc(RTCP_HEADER);
  header.writeUInt8((2 << 6) | count, 0);
  header.writeUInt8(type, 1);
  header.writeUInt16BE(body.length / 4, 2);
  return Buffer.concat([header, body]);
}
