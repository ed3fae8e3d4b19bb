// SPDX-License-Identifier: Apache-2.0
// RTCP from members of a multicast group, sent to the group or to where our sender reports come from. All members on one
// host look alike but for the SSRC that they report as, and which is whose nobody tells.

import type { Context } from './context.js';
import type { Group } from './group.js';
import type { Endpoint } from './ports.js';
import { parseViewerRtcp, readViewerRtcp, saysGoodbye } from './report.js';
import type { ViewerTrack } from './viewer-track.js';

/** Nothing is logged here: anybody may send. */
export function receiveGroupRtcp(context: Context, group: Group, packet: Buffer, from: Endpoint): void {
  const arrivalNs = context.clock.monotonicNs();
  const members = [...group.members].filter(({ session }) => session.address === from.address);
  if (members.length === 0) {
    context.refused.add('viewer-rtcp-from-stranger');
    return;
  }
  const parts = parseViewerRtcp(context, packet);
  if (!parts) return;
  for (const { session } of members) session.heard(); // whoever of them it was
  const [report] = parts; // each compound begins with one (RFC 3550 6.1)
  if (report?.kind !== 'rr' && report?.kind !== 'sr') return;
  const known = members.find(({ reporter }) => reporter === report.ssrc) ?? sole(members);
  const member = known ?? members.find(({ reporter }) => reporter === undefined);
  if (!member) {
    context.refused.add('viewer-report-of-nobody');
    return;
  }
  member.reporter = report.ssrc;
  readViewerRtcp(context, member, parts, arrivalNs);
  // Who is only guessed to have sent this is not ended by it.
  if (known && saysGoodbye(context, member, parts)) member.leave('it said BYE');
}

function sole(members: readonly ViewerTrack[]): ViewerTrack | undefined {
  return members.length === 1 ? members[0] : undefined;
}
