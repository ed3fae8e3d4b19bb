// SPDX-License-Identifier: Apache-2.0
// `proxyctl clients`: one line per viewer or publisher, its tracks taken together.

import type { ClientRow } from '../../control/api/types.js';
import { show, type Register } from '../context.js';
import { table, type Column } from '../table.js';
import { bytes, count, duration, milliseconds, percent } from '../units.js';

export const clients: Register = (program, context) => {
  program
    .command('clients')
    .description(
      'viewers, and who publishes: sent packets, bytes and drops (sum of all tracks); of layered streams the highest layer sent and the ' +
        'bit/s that the way is taken to carry; last reported loss (worst track)',
    )
    .option('--json', 'everything, each track by itself, as JSON')
    .action(async (options: { json?: true }) => {
      const c = context();
      show(c, options, await c.get<ClientRow[]>('/clients'), (rows) => clientsTable(rows, c.now(), c.width));
    });
};

export function clientsTable(rows: readonly ClientRow[], nowMs: number, width: number): string {
  return rows.length === 0 ? 'No viewers.' : table(rows, columns(rows, nowMs), width);
}

function columns(rows: readonly ClientRow[], nowMs: number): Column<ClientRow>[] {
  const published = rows.some(({ role }) => role === 'publisher');
  const interleaved = rows.some(({ tracks }) => tracks.some(({ queue }) => queue !== null));
  const multipath = rows.some(({ subflows }) => subflows !== null);
  const multicast = rows.some(({ tracks }) => tracks.some(({ group }) => group !== null));
  const layered = rows.some(({ tracks }) => tracks.some(({ layers }) => layers !== null));
  return [
    { title: 'ID', align: 'right', cell: (row) => String(row.id) },
    { title: published ? 'CLIENT' : 'VIEWER', atLeast: 9, cell: (row) => row.address },
    { title: 'PORT', align: 'right', optional: true, cell: (row) => String(row.port) },
    ...(multicast ? [{ title: 'GROUP', cell: groups }] : []),
    ...(interleaved || published ? [{ title: 'VIA', cell: via }] : []),
    ...(multipath ? ([{ title: 'PATHS', align: 'right', cell: paths }] as const) : []),
    { title: 'STREAM', atLeast: 6, cell: (row) => row.stream },
    { title: 'STATE', cell: (row) => row.state },
    { title: 'SINCE', align: 'right', cell: (row) => duration(nowMs - Date.parse(row.since)) },
    { title: 'PKTS', align: 'right', cell: (row) => count(sum(row, 'packets')) },
    { title: 'BYTES', align: 'right', cell: (row) => bytes(sum(row, 'bytes')) },
    { title: 'DROPS', align: 'right', cell: (row) => count(sum(row, 'drops')) },
    ...(interleaved ? ([{ title: 'QUEUE', align: 'right', cell: queued }] as const) : []),
    ...(layered ? LAYERS : []),
    { title: 'LOSS', align: 'right', cell: (row) => worst(row, (loss) => loss.fraction, percent) },
    {
      title: 'JITTER',
      align: 'right',
      optional: true,
      cell: (row) => worst(row, (loss) => loss.jitterMs, milliseconds),
    },
    {
      title: 'RTT',
      align: 'right',
      optional: true,
      cell: (row) => worst(row, (l) => l.roundTripMs, milliseconds),
    },
    { title: 'SENT BY', optional: true, cell: sentBy },
  ];
}

const LAYERS: readonly Column<ClientRow>[] = [
  { title: 'LAYER', align: 'right', cell: layer },
  { title: 'BIT/S', align: 'right', optional: true, cell: bandwidth },
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

function sentBy(row: ClientRow): string {
  const engines = new Set(row.tracks.flatMap(({ servedBy }) => servedBy ?? []));
  return engines.size === 0 ? '-' : [...engines].join(', ');
}
