// SPDX-License-Identifier: Apache-2.0
// Bodies of SR and RR: sender information and report blocks (RFC 3550 6.4.1, 6.4.2).
import type { ReceiverReport, ReportBlock, SenderInfo, SenderReport } from './packet.js';

export const BLOCK_SIZE = 24;
/** SSRC, NTP timestamp, RTP timestamp, packet count, octet count. */
export const SENDER_INFO_SIZE = 24;

export function readReportBlock(bytes: Buffer, at: number): ReportBlock {
  return {
    ssrc: bytes.readUInt32BE(at),
    fraction: bytes.readUInt8(at + 4),
    cumulative: bytes.readIntBE(at + 5, 3),
    extendedMaxSeq: bytes.readUInt32BE(at + 8),
    jitter: bytes.readUInt32BE(at + 12),
    lsr: bytes.readUInt32BE(at + 16),
    dlsr: bytes.readUInt32BE(at + 20),
  };
}

/** Throws a RangeError for a value that does not fit its field: ours to get right, no input leads here. */
export function writeReportBlock(bytes: Buffer, at: number, block: ReportBlock): void {
  bytes.writeUInt32BE(block.ssrc, at);
  bytes.writeUInt8(block.fraction, at + 4);
  bytes.writeIntBE(block.cumulative, at + 5, 3);
  bytes.writeUInt32BE(block.extendedMaxSeq, at + 8);
  bytes.writeUInt32BE(block.jitter, at + 12);
  bytes.writeUInt32BE(block.lsr, at + 16);
  bytes.writeUInt32BE(block.dlsr, at + 20);
}

export function writeSenderInfo(bytes: Buffer, at: number, info: SenderInfo): void {
  bytes.writeUInt32BE(info.ssrc, at);
  bytes.writeBigUInt64BE(info.ntp, at + 4);
  bytes.writeUInt32BE(info.rtpTimestamp, at + 12);
  bytes.writeUInt32BE(info.packetCount, at + 16);
  bytes.writeUInt32BE(info.octetCount, at + 20);
}

/** `body` is what follows the common header. Undefined when it is shorter than `count` blocks need. */
export function readSenderReport(body: Buffer, count: number): SenderReport | undefined {
  const blocks = readBlocks(body, SENDER_INFO_SIZE, count);
  if (!blocks) return undefined;
  return {
    kind: 'sr',
    ssrc: body.readUInt32BE(0),
    ntp: body.readBigUInt64BE(4),
    rtpTimestamp: body.readUInt32BE(12),
    packetCount: body.readUInt32BE(16),
    octetCount: body.readUInt32BE(20),
    blocks,
  };
}

/** `body` is what follows the common header. Undefined when it is shorter than `count` blocks need. */
export function readReceiverReport(body: Buffer, count: number): ReceiverReport | undefined {
  const blocks = readBlocks(body, 4, count);
  return blocks && { kind: 'rr', ssrc: body.readUInt32BE(0), blocks };
}

/** What follows the last block is a profile's extension (RFC 3550 6.4.3): allowed, and not for us. */
function readBlocks(body: Buffer, from: number, count: number): ReportBlock[] | undefined {
  if (body.length < from + count * BLOCK_SIZE) return undefined;
  return Array.from({ length: count }, (_, i) => readReportBlock(body, from + i * BLOCK_SIZE));
}
