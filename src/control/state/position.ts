// SPDX-License-Identifier: Apache-2.0
// Where in a recorded source its viewers are: normal play time (RFC 2326 3.6) computed from the RTP timestamp that
// the source said its start has (RTP-Info, RFC 2326 12.33) and the one that arrives now.

export interface PlayStart {
  /** Normal play time at which the source said it would begin, seconds. */
  readonly nptSeconds: number;
  /** RTP timestamp that belongs to it. */
  readonly rtpTime: number;
  readonly clockRate: number;
  /** When it said so, monotonic milliseconds: tells how often the timestamp has wrapped since. */
  readonly atMs: number;
}

const WRAP = 2 ** 32;

/** Seconds of normal play time that `rtpTime`, received at `nowMs`, stands for; never before the start. */
export function nptOf(start: PlayStart, rtpTime: number, nowMs: number): number {
  const ticks = (rtpTime - start.rtpTime) >>> 0;
  const expected = ((nowMs - start.atMs) / 1000) * start.clockRate;
  const wraps = Math.round((expected - ticks) / WRAP);
  return start.nptSeconds + Math.max(0, ticks + wraps * WRAP) / start.clockRate;
}
