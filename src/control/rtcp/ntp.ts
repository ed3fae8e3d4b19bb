// SPDX-License-Identifier: Apache-2.0
// NTP timestamps and the round trip measured with them (RFC 3550 4, 6.4.1). Short times are the middle 32 bits of
// an NTP timestamp: units of 1/65536 s, wrapping every 18.2 hours.

const UNIX_EPOCH_S = 2_208_988_800n; // 1970 in seconds since 1900
const NS = 1_000_000_000n;
const SHORT_MAX = 0xffff_ffff;

/** Wall clock, ns since 1970, as a 64-bit NTP timestamp (rounded up, so that the way back gives the same ns). */
export function ntpFromUnixNs(unixNs: bigint): bigint {
  return BigInt.asUintN(64, (((unixNs + UNIX_EPOCH_S * NS) << 32n) + NS - 1n) / NS);
}

/**
 * A 64-bit NTP timestamp as ns since 1970. Seconds whose highest bit is clear belong to the era after 2036
 * (RFC 4330 3).
 */
export function unixNsFromNtp(ntp: bigint): bigint {
  const era = ntp >> 63n === 0n ? 1n << 64n : 0n;
  return (((era + ntp) * NS) >> 32n) - UNIX_EPOCH_S * NS;
}

/** A monotonic time as a 64-bit NTP timestamp: who measures no wall clock tells elapsed time (RFC 3550 6.4.1). */
export function ntpFromElapsedNs(ns: bigint): bigint {
  return BigInt.asUintN(64, (ns << 32n) / NS);
}

/** The middle 32 bits of a 64-bit NTP timestamp: what LSR repeats of an SR. */
export function ntpMiddle(ntp: bigint): number {
  return Number((ntp >> 16n) & 0xffff_ffffn);
}

/** A duration in ns as 1/65536 s: 0 if negative, the largest 32-bit value past 18.2 hours. */
export function shortFromNs(ns: bigint): number {
  if (ns <= 0n) return 0;
  const short = (ns << 16n) / NS;
  return short > BigInt(SHORT_MAX) ? SHORT_MAX : Number(short);
}

/** 1/65536 s as milliseconds. */
export function msFromShort(short: number): number {
  return (short * 1000) / 65536;
}

/**
 * Round trip as RFC 3550 6.4.1 has it, A - LSR - DLSR, all in 1/65536 s modulo 2^32, `arrival` by the clock that
 * stamped the SR. Undefined when the receiver had no SR yet (LSR 0); a negative result (clock steps, a receiver that
 * rounds DLSR up) is 0.
 */
export function roundTrip(arrival: number, lsr: number, dlsr: number): number | undefined {
  if (lsr === 0) return undefined;
  const trip = (arrival - lsr - dlsr) | 0;
  return Math.max(0, trip);
}

/**
 * Round trip from the time at which we ourselves sent the SR on: the SR carries the source's clock, not ours.
 * Monotonic ns in, 1/65536 s out, never negative.
 */
export function roundTripSince(sentNs: bigint, arrivalNs: bigint, dlsr: number): number {
  return Math.max(0, shortFromNs(arrivalNs - sentNs) - dlsr);
}
