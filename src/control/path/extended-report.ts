// SPDX-License-Identifier: Apache-2.0
// What a viewer's extended report (RFC 3611) says: its reference time is answered, and ours by it, which gives the round
// trip where the source sends no sender reports; sums and voice metrics are kept for people.

import { buildExtendedReport, buildReceiverReport } from '../rtcp/build.js';
import type { ExtendedReport, ReferenceAnswer, StatisticsSummary, VoiceMetrics } from '../rtcp/extended.js';
import { msFromShort, ntpFromElapsedNs, ntpMiddle, roundTrip, shortFromNs } from '../rtcp/ntp.js';
import { nowMs, type Context } from './context.js';
import type { ViewerTrack } from './viewer-track.js';

/** What a viewer's extended reports have said last. */
export interface Extended {
  readonly roundTripMs?: number;
  readonly statistics?: StatisticsSummary;
  readonly voice?: VoiceMetrics;
}

/** A viewer that asks more often is not answered: what it is sent must not be more than it asks for. */
const ANSWER_MS = 500;

/** `ssrc`: of our source, as viewers see it. */
export function readExtended(
  context: Context,
  viewer: ViewerTrack,
  report: ExtendedReport,
  { ssrc, arrivalNs }: { readonly ssrc: number | undefined; readonly arrivalNs: bigint },
): void {
  for (const block of report.blocks)
    switch (block.kind) {
      case 'reference-time':
        answer(context, viewer, { ssrc: report.ssrc, lrr: block.ntpMiddle }, arrivalNs);
        break;
      case 'reference-answers': {
        const roundTripMs = roundTripOf(block.answers, viewer.track.ownSsrc, arrivalNs);
        if (roundTripMs !== undefined) viewer.extended = { ...viewer.extended, roundTripMs };
        break;
      }
      case 'statistics':
        if (block.ssrc === ssrc) viewer.extended = { ...viewer.extended, statistics: block };
        break;
      case 'voice':
        if (block.ssrc === ssrc) viewer.extended = { ...viewer.extended, voice: block };
        break;
      default: // of single packets
    }
}

/** In our own name, never the source's: another CNAME beside its SSRC would break a player's synchronisation. */
function answer(
  context: Context,
  viewer: ViewerTrack,
  { ssrc, lrr }: Omit<ReferenceAnswer, 'dlrr'>,
  arrivalNs: bigint,
): void {
  const now = nowMs(context.clock);
  if (viewer.group || viewer.servedBy === undefined || now - (viewer.answeredMs ?? -Infinity) < ANSWER_MS)
    return;
  viewer.answeredMs = now;
  const sentNs = context.clock.monotonicNs();
  const { ownSsrc } = viewer.track;
  viewer.sendRtcp(
    Buffer.concat([
      buildReceiverReport(ownSsrc, context.cname),
      buildExtendedReport(ownSsrc, referenceTime(sentNs), [
        { ssrc, lrr, dlrr: shortFromNs(sentNs - arrivalNs) },
      ]),
    ]),
  );
}

/** Of our own, by the clock that roundTripOf() reads. */
export function referenceTime(nowNs: bigint): bigint {
  return ntpFromElapsedNs(nowNs);
}

/** From the answer to our reference time, if there is one among them. Milliseconds. */
export function roundTripOf(
  answers: readonly ReferenceAnswer[],
  ownSsrc: number,
  arrivalNs: bigint,
): number | undefined {
  const ours = answers.find(({ ssrc }) => ssrc === ownSsrc);
  const trip = ours && roundTrip(ntpMiddle(referenceTime(arrivalNs)), ours.lrr, ours.dlrr);
  return trip === undefined ? undefined : msFromShort(trip);
}
