// SPDX-License-Identifier: Apache-2.0
// RTCP packets as values (RFC 3550 chapter 6, RFC 3611). Reading is compound.ts's, writing build.ts's.

import type { ExtendedReport } from './extended.js';

/** Packet types (RFC 3550 12.1, RFC 3611). */
export const RTCP_SR = 200;
export const RTCP_RR = 201;
export const RTCP_SDES = 202;
export const RTCP_BYE = 203;
export const RTCP_APP = 204;
export const RTCP_XR = 207;

/** Version, padding, count; packet type; length: bytes common to all. */
export const RTCP_HEADER = 4;
/** The count field has five bits. */
export const MAX_COUNT = 31;

/** What one receiver says of one source (RFC 3550 6.4.1). All unsigned 32 bits unless said otherwise. */
export interface ReportBlock {
  readonly ssrc: number;
  /** Lost since the report before, in 1/256: 0 to 255. */
  readonly fraction: number;
  /** Lost since the beginning, signed 24 bits: duplicates make it negative. */
  readonly cumulative: number;
  readonly extendedMaxSeq: number;
  /** RTP timestamp units. */
  readonly jitter: number;
  /** Middle 32 bits of the NTP timestamp of the last SR; 0: none yet. */
  readonly lsr: number;
  /** Delay since that SR, 1/65536 s. */
  readonly dlsr: number;
}

/** The sender's half of an SR (RFC 3550 6.4.1). */
export interface SenderInfo {
  readonly ssrc: number;
  /** 64 bits: seconds since 1900, and 2^-32 s. */
  readonly ntp: bigint;
  readonly rtpTimestamp: number;
  readonly packetCount: number;
  readonly octetCount: number;
}

export interface SenderReport extends SenderInfo {
  readonly kind: 'sr';
  readonly blocks: readonly ReportBlock[];
}

export interface ReceiverReport {
  readonly kind: 'rr';
  readonly ssrc: number;
  readonly blocks: readonly ReportBlock[];
}

/** Only the CNAME is kept of each chunk; the other items identify people. */
export interface SourceDescription {
  readonly kind: 'sdes';
  readonly chunks: readonly { readonly ssrc: number; readonly cname?: string }[];
}

export interface Goodbye {
  readonly kind: 'bye';
  readonly ssrcs: readonly number[];
  readonly reason?: string;
}

export interface Application {
  readonly kind: 'app';
  readonly subtype: number;
  readonly ssrc: number;
  /** Four characters. */
  readonly name: string;
  /** Bytes of application data. */
  readonly dataLength: number;
}

/** A type that this proxy does not read: feedback, and what is yet to be invented. */
export interface OpaquePacket {
  readonly kind: 'opaque';
  readonly type: number;
  /** The whole packet, header and padding included, bytes. */
  readonly length: number;
}

export type RtcpPacket =
  SenderReport | ReceiverReport | SourceDescription | Goodbye | Application | ExtendedReport | OpaquePacket;

/**
 * Whether a packet on a port that carries both is RTCP (RFC 5761 4): the types 192 to 223 would be payload types 64 to 95
 * of RTP, which nobody uses then.
 */
export function isRtcp(packet: Buffer): boolean {
  const type = packet[1] ?? 0;
  return type >= 192 && type <= 223;
}
