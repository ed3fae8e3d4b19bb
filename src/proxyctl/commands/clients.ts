// SPDX-License-Identifier: Apache-2.0
// `proxyctl clients`: one line per viewer or publisher, its tracks taken together.

import type { ClientRow, StatusRow } from '../../control/api/types.js';
import { show, type Register } from '../context.js';
import { table, type Column } from '../table.js';
import { bytes, count, duration, milliseconds, percent } from '../units.js';

export const clients: Register = (program, context) => {
  program
    .command('clients')
    .description(
      'viewers, and who publishes: sent packets, bytes and drops (sum of all tracks); of layered streams the highest layer sent and the ' +
        'bit/s that the way is taken to carry; last reported loss, jitter and round trip (worst track)',
    )
    .option('--json', 'everything, each track by itself, as JSON')
    .action(async (options: { json?: true }) => {
      const c = context();
      const rows = await c.get<ClientRow[]>('/clients');
      const { engine } = await c.get<StatusRow>('/status');
      show(c, options, rows, () => clientsTable(rows, c.now(), c.width, engine));
    });
};

export function clientsTable(
  rows: readonly ClientRow[],
  nowMs: number,
  width: number,
  engine: StatusRow['engine'],
): string {
  return rows.length === 0 ? 'No viewers.' : table(rows, columns(rows, nowMs, engine), width);
}

function columns(
  rows: readonly ClientRow[],
  nowMs: number,
  engine: StatusRow['engine'],
): Column<ClientRow>[] {
  const published = rows.some(({ role }) => role === 'publisher');
  const interleaved = rows.some(({ tracks }) => tracks.some(({ queue }) => queue !== null));
  const multipath = rows.some(({ subflows }) => subflows !== null);
  const multicast = rows.some(({ tracks }) => tracks.some(({ group }) => group !== null));
  const layered = rows.some(({ tracks }) => tracks.some(({ layers }) => layers !== null));
  const byProcess = engine !== 'userspace' && rows.some((row) => sentBy(row) === 'userspace');
  return [
    { title: 'ID', align: 'right', cell: (row) => String(row.id) },
    { title: published ? 'CLIENT' : 'VIEWER', atLeast: 15, cell: (row) => row.address },
    { title: 'PORT', align: 'right', optional: 1, cell: (row) => String(row.port) },
    ...(multicast ? [{ title: 'GROUP', optional: 4, cell: groups }] : []),
    ...(interleaved || published ? [{ title: 'VIA', optional: 5, cell: via }] : []),
    ...(multipath ? ([{ title: 'PATHS', align: 'right', optional: 6, cell: paths }] as const) : []),
    { title: 'STREAM', atLeast: 14, cell: (row) => row.stream },
    { title: 'STATE', cell: (row) => row.state },
    {
      title: 'SINCE',
      align: 'right',
      optional: 9,
      cell: (row) => duration(nowMs - Date.parse(row.since)),
    },
    { title: 'PKTS', align: 'right', lastly: 1, cell: (row) => count(sum(row, 'packets')) },
    { title: 'BYTES', align: 'right', optional: 8, cell: (row) => bytes(sum(row, 'bytes')) },
    { title: 'DROPS', align: 'right', cell: (row) => count(sum(row, 'drops')) },
    ...(interleaved ? ([{ title: 'QUEUE', align: 'right', optional: 7, cell: queued }] as const) : []),
    ...(layered ? LAYERS : []),
    { title: 'LOSS', align: 'right', cell: (row) => worst(row, (loss) => loss.fraction, percent) },
    {
      title: 'JITTER',
      align: 'right',
      lastly: 3,
      cell: (row) => worst(row, (loss) => loss.jitterMs, milliseconds),
    },
    {
      title: 'RTT',
      align: 'right',
      optional: 2,
      cell: (row) => worst(row, (l) => l.roundTripMs, milliseconds),
    },
    ...(byProcess ? [{ title: 'SENT BY', cell: sentBy }] : []),
  ];
}

const LAYERS: readonly Column<ClientRow>[] = [
  { title: 'LAYER', align: 'right', lastly: 2, cell: layer },
  { title: 'BIT/S', align: 'right', optional: 3, cell: bandwidth },
];

/** Up to which layer it is sent packets; `2<5`: its policy would let it have more than there is room for here. */
function layer({ tracks }: ClientRow): string {
  const name = (number: number) => (number === 7 ? 'all' : String(number));
  const texts = tracks.flatMap(({ layers }) => {
    if (!layers) return [];
    const { allowance, wanted } = layers;
    return [wanted > allowance ? `${name(allowance)}<${name(wanted)}` : name(allowance)];
  });
  return texts.join(' ') || '-';
}

/** What its way is taken to carry. */
function bandwidth({ tracks }: ClientRow): string {
  const known = tracks.flatMap(({ layers }) => layers?.bandwidth ?? []);
  return known.length === 0 ? '-' : count(known.reduce((a, b) => a + b, 0));
}

function sum(row: ClientRow, field: 'packets' | 'bytes' | 'drops'): number {
  return row.tracks.reduce((total, track) => total + track[field], 0);
}

/** Of its connection, where that is multipath TCP. */
function paths({ subflows }: ClientRow): string {
  return subflows === null ? '-' : String(subflows);
}

/** How its tracks come: `tcp` is interleaved. */
function via({ tracks }: ClientRow): string {
  return [...new Set(tracks.map(({ transport }) => transport))].join(', ') || '-';
}

/** What waits for room in its connection; `-` where nothing can. */
function queued({ tracks }: ClientRow): string {
  const waiting = tracks.flatMap(({ queue }) => queue?.bytes ?? []);
  return waiting.length === 0 ? '-' : bytes(Math.max(...waiting));
}

type Loss = NonNullable<ClientRow['tracks'][number]['loss']>;

/** Of what the tracks' last reports say; `-` when there is none. */
function worst(row: ClientRow, of: (loss: Loss) => number | null, text: (value: number) => string): string {
  const values = row.tracks.flatMap(({ loss }) => (loss === null ? [] : (of(loss) ?? [])));
  return values.length === 0 ? '-' : text(Math.max(...values));
}

/** Those of the multicast groups that its tracks come by. */
function groups(row: ClientRow): string {
  const all = new Set(row.tracks.flatMap(({ group }) => group ?? []));
  return all.size === 0 ? '-' : [...all].join(' ');
}

/** Of what is no part of its connection: that the process always sends. */
function sentBy({ tracks }: ClientRow): string {
  const engines = tracks.flatMap(({ transport, servedBy }) => (transport === 'tcp' ? [] : (servedBy ?? [])));
  return engines.includes('userspace') ? 'userspace' : (engines[0] ?? '-');
}
