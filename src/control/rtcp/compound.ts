// SPDX-License-Identifier: Apache-2.0
// The walk of a compound RTCP packet: one datagram in, its packets or the reason for refusing it out
// (RFC 3550 6.1 and A.2). Never throws, whatever the bytes; work and memory are bounded by the datagram.
import {
  RTCP_APP,
  RTCP_BYE,
  RTCP_HEADER,
  RTCP_RR,
  RTCP_SDES,
  RTCP_SR,
  RTCP_XR,
  type Application,
  type RtcpPacket,
} from './packet.js';
import { readGoodbye } from './bye.js';
import { readExtendedReport } from './extended.js';
import { readReceiverReport, readSenderReport } from './report.js';
import { readSourceDescription } from './sdes.js';

/**
 * Why a datagram is refused as a whole. One bad packet refuses all: once a length or a count is wrong, nothing in the
 * datagram can be trusted to be where it seems to be.
 */
export type RtcpRefusal =
  /** Shorter than a header, or than a length field says. */
  | 'truncated'
  | 'bad-version'
  /** The first packet is neither SR nor RR: reduced-size RTCP (RFC 5506), which nobody negotiates with us. */
  | 'reduced-size'
  /** Only the last packet may be padded. */
  | 'padding-not-last'
  /** A padding count of zero, not a multiple of four, or more than the packet has. */
  | 'bad-padding'
  /** The packet is shorter than its count of blocks, chunks or sources needs, or its parts do not fill it. */
  | 'bad-report'
  | 'bad-sdes'
  | 'bad-bye'
  | 'bad-app'
  | 'bad-xr';

export type CompoundResult =
  | { readonly ok: true; readonly packets: readonly RtcpPacket[] }
  | { readonly ok: false; readonly reason: RtcpRefusal };

export function parseCompound(datagram: Buffer): CompoundResult {
  const packets: RtcpPacket[] = [];
  let at = 0;
  do {
    const left = datagram.length - at;
    if (left < RTCP_HEADER) return refuse('truncated');
    const flags = datagram.readUInt8(at);
    const type = datagram.readUInt8(at + 1);
    const size = (datagram.readUInt16BE(at + 2) + 1) * 4;
    if (flags >> 6 !== 2) return refuse('bad-version');
    if (at === 0 && type !== RTCP_SR && type !== RTCP_RR) return refuse('reduced-size');
    if (size > left) return refuse('truncated');
    let padding = 0;
    if (flags & 0x20) {
      // A.2 forbids it on the first packet; a lone RR is the first and the last, and harmless.
      if (size !== left) return refuse('padding-not-last');
      padding = datagram.readUInt8(at + size - 1);
      if (padding === 0 || padding % 4 !== 0 || padding > size - RTCP_HEADER) return refuse('bad-padding');
    }
    const body = datagram.subarray(at + RTCP_HEADER, at + size - padding);
    const packet = readPacket(type, flags & 0x1f, body, size);
    if (typeof packet === 'string') return refuse(packet);
    packets.push(packet);
    at += size;
  } while (at < datagram.length);
  return { ok: true, packets };
}

function refuse(reason: RtcpRefusal): CompoundResult {
  return { ok: false, reason };
}

function readPacket(type: number, count: number, body: Buffer, length: number): RtcpPacket | RtcpRefusal {
  switch (type) {
    case RTCP_SR:
      return readSenderReport(body, count) ?? 'bad-report';
    case RTCP_RR:
      return readReceiverReport(body, count) ?? 'bad-report';
    case RTCP_SDES:
      return readSourceDescription(body, count) ?? 'bad-sdes';
    case RTCP_BYE:
      return readGoodbye(body, count) ?? 'bad-bye';
    case RTCP_APP:
      return readApplication(body, count) ?? 'bad-app';
    case RTCP_XR:
      return readExtendedReport(body) ?? 'bad-xr';
    default:
      return { kind: 'opaque', type, length };
  }
}

/** RFC 3550 6.7: a known name would have to be registered with us; only its size is kept. */
function readApplication(body: Buffer, subtype: number): Application | undefined {
  if (body.length < 8) return undefined;
  return {
    kind: 'app',
    subtype,
    ssrc: body.readUInt32BE(0),
    name: body.toString('latin1', 4, 8),
    dataLength: body.length - 8,
  };
}
