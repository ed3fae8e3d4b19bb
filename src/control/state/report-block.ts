// SPDX-License-Identifier: Apache-2.0
// The report block that we send a source, from two readings of its reception, whoever counted: the kernel or this
// process (RFC 3550 A.3, 6.4.1).
import type { Reception } from '../path/ports.js';
import { shortFromNs } from '../rtcp/ntp.js';
import type { ReportBlock } from '../rtcp/packet.js';

const CUMULATIVE_MAX = 0x7f_ffff;
const CUMULATIVE_MIN = -0x80_0000;

/** The newest SR that came from the source. */
export interface LastSenderReport {
  readonly ssrc: number;
  /** Middle 32 bits of its NTP timestamp. */
  readonly ntpMiddle: number;
  /** Monotonic clock. */
  readonly arrivalNs: bigint;
}

/**
 * `previous` is the reading that the report before was made from; undefined for the first. One of another SSRC, or
 * of before a restart, counts as none. `nowNs` is on the clock of `lastSr.arrivalNs`.
 */
export function reportBlock(
  previous: Reception | undefined,
  now: Reception,
  lastSr: LastSenderReport | undefined,
  nowNs: bigint,
): ReportBlock {
  const before = previous && continues(previous, now) ? previous : undefined;
  // Differences modulo 2^32, so that neither the wrap of the counters nor that of the cycles shows.
  const expectedInterval = (expected(now) - (before ? expected(before) : 0)) >>> 0;
  const receivedInterval = (now.received - (before?.received ?? 0)) >>> 0;
  const lost = (expected(now) - now.received) | 0;
  // The kernel hands its reports up as viewers see them.
  const sr = lastSr && (lastSr.ssrc === now.ssrc || lastSr.ssrc === now.sent?.ssrc) ? lastSr : undefined;
  return {
    ssrc: now.ssrc,
    fraction: fraction(expectedInterval, receivedInterval),
    cumulative: Math.min(CUMULATIVE_MAX, Math.max(CUMULATIVE_MIN, lost)),
    extendedMaxSeq: now.extendedMaxSeq,
    jitter: Math.min(0xffff_ffff, Math.floor(now.jitter)),
    lsr: sr?.ntpMiddle ?? 0,
    dlsr: sr ? shortFromNs(nowNs - sr.arrivalNs) : 0,
  };
}

function expected(reception: Reception): number {
  return reception.extendedMaxSeq - reception.baseSeq + 1;
}

/** A restart gives a new base or sets the highest sequence number back; nothing else does. */
function continues(previous: Reception, now: Reception): boolean {
  return (
    previous.ssrc === now.ssrc &&
    previous.baseSeq === now.baseSeq &&
    ((now.extendedMaxSeq - previous.extendedMaxSeq) | 0) >= 0
  );
}

/**
 * In 1/256; 0 where duplicates outnumber the lost. All lost would be 256, which has no code: it cannot be as long as
 * the packet with the highest sequence number is among those received, but the reading may be another program's.
 */
function fraction(expectedInterval: number, receivedInterval: number): number {
  const lost = expectedInterval - receivedInterval;
  if (expectedInterval === 0 || lost <= 0) return 0;
  return Math.min(255, Math.floor((lost * 256) / expectedInterval));
}
