// SPDX-License-Identifier: Apache-2.0
// `proxyctl streams`: one line per track of each resource that is open upstream.

import type { StreamRow, StreamTrackRow } from '../../control/api/types.js';
import { show, type Register } from '../context.js';
import { table, type Column } from '../table.js';
import { bytes, count, duration, milliseconds } from '../units.js';

export const streams: Register = (program, context) => {
  program
    .command('streams')
    .description('what is open upstream: packets and bytes received, lost, jitter')
    .option('--json', 'everything as JSON')
    .action(async (options: { json?: true }) => {
      const c = context();
      show(c, options, await c.get<StreamRow[]>('/streams'), (rows) => streamsTable(rows, c.now(), c.width));
    });
};

/** A line of the table; `stream` only on the first line of each. */
interface Line {
  readonly stream: StreamRow | undefined;
  readonly track: StreamTrackRow | undefined;
}

export function streamsTable(rows: readonly StreamRow[], nowMs: number, width: number): string {
  if (rows.length === 0)
    return 'Nothing is open upstream: no viewer asks for anything, and nobody publishes.';
  const lines = rows.flatMap((stream): Line[] => {
    if (stream.tracks.length === 0) return [{ stream, track: undefined }];
    return stream.tracks.map((track, index) => ({ stream: index === 0 ? stream : undefined, track }));
  });
  return table(lines, columns(rows, nowMs), width);
}

function columns(rows: readonly StreamRow[], nowMs: number): Column<Line>[] {
  const recorded = rows.some(({ position }) => position !== null);
  const multipath = rows.some(({ subflows }) => subflows !== null);
  const ofStream = (text: (stream: StreamRow) => string) => (line: Line) =>
    line.stream ? text(line.stream) : '';
  const ofTrack = (text: (track: StreamTrackRow) => string) => (line: Line) =>
    line.track ? text(line.track) : '-';
  return [
    { title: 'STREAM', atLeast: 14, cell: ofStream((s) => s.path) },
    { title: 'STATE', cell: ofStream(stateOf) },
    { title: 'VIEWERS', align: 'right', cell: ofStream((s) => count(s.viewers)) },
    ...(recorded ? [{ title: 'AT', align: 'right', lastly: 1, cell: ofStream(positionOf) } as const] : []),
    {
      title: 'SINCE',
      align: 'right',
      optional: 6,
      cell: ofStream((s) => duration(nowMs - Date.parse(s.since))),
    },
    { title: 'MEDIA', atLeast: 5, cell: ofTrack((t) => t.media) },
    { title: 'PKTS', align: 'right', cell: ofTrack((t) => count(t.packets)) },
    { title: 'BYTES', align: 'right', optional: 5, cell: ofTrack((t) => bytes(t.bytes)) },
    { title: 'LOST', align: 'right', cell: ofTrack((t) => (t.lost === null ? '-' : count(t.lost))) },
    { title: 'JITTER', align: 'right', cell: ofTrack((t) => milliseconds(t.jitterMs)) },
    { title: 'RTT', align: 'right', optional: 3, cell: ofTrack((t) => milliseconds(t.roundTripMs)) },
    ...(multipath ? [{ title: 'PATHS', align: 'right', optional: 4, cell: ofStream(pathsOf) } as const] : []),
    { title: 'FROM', optional: 2, cell: ofStream((s) => s.upstream) },
    { title: 'SSRC', optional: 1, cell: ofTrack((t) => t.ssrc ?? '-') },
  ];
}

function positionOf({ position }: StreamRow): string {
  return position === null ? '-' : duration(position * 1000);
}

/** Of its connection, where that is multipath TCP. */
function pathsOf({ subflows }: StreamRow): string {
  return String(subflows ?? '-');
}

/** Of several with one path: newcomers join the one whose state has nothing behind it. */
function stateOf({ state, own, open }: StreamRow): string {
  if (state === 'ending' || open) return state;
  return own ? `${state}, own` : `${state}, earlier`;
}
