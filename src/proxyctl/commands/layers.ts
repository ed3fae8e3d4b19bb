// SPDX-License-Identifier: Apache-2.0
// `proxyctl layers STREAM`: the bandwidth of each layer of its layered tracks, and how many viewers get up to which.

import type { ClientRow, StreamRow, StreamTrackRow } from '../../control/api/types.js';
import { ProxyctlError, show, type Register } from '../context.js';
import { table, type Column } from '../table.js';
import { count } from '../units.js';

/** A layer in which something comes. */
export interface LayerRow {
  readonly media: string;
  /** What the number of a layer is: `dependency`, `temporal` or `spatial`. */
  readonly notion: string;
  readonly layer: number;
  /** Bits per second of RTP: of the layer by itself, and with all below it. */
  readonly rate: number;
  readonly cumulative: number;
  /** That are sent this layer and none above it. */
  readonly viewers: number;
}

export const layers: Register = (program, context) => {
  program
    .command('layers')
    .description('a layered stream: bit/s of each layer, with those below it, and viewers that get no more')
    .argument('<stream>', 'its path, as `streams` shows it, or as the file of paths names it', pathOf)
    .option('--json', 'as JSON')
    .action(async (path: string, options: { json?: true }) => {
      const c = context();
      const stream = (await c.get<StreamRow[]>('/streams')).find((row) => row.path === path);
      if (!stream)
        throw new ProxyctlError(`no stream ${path} is open: \`proxyctl streams\` shows those that are`);
      const rows = layerRows(stream, await c.get<ClientRow[]>('/clients'));
      show(c, options, rows, (found) => layersTable(found, c.width));
    });
};

function pathOf(name: string): string {
  return name.startsWith('/') ? name : `/${name}`;
}

export function layerRows(stream: StreamRow, clients: readonly ClientRow[]): LayerRow[] {
  const tracks = clients.filter((row) => row.stream === stream.path).flatMap((row) => row.tracks);
  return stream.tracks.flatMap((track) => {
    const allowances = tracks
      .filter(({ media, servedBy }) => media === track.media && servedBy !== null)
      .flatMap(({ layers }) => layers?.allowance ?? []);
    return rowsOf(track, allowances);
  });
}

function rowsOf({ media, layers }: StreamTrackRow, allowances: readonly number[]): LayerRow[] {
  if (!layers) return [];
  const present = layers.rates.flatMap((rate, layer) => (rate > 0 ? [layer] : []));
  return present.map((layer, i) => {
    const next = present[i + 1] ?? Infinity;
    const from = i === 0 ? 0 : layer;
    return {
      ...{ media, notion: layers.notion, layer, rate: layers.rates[layer]! },
      cumulative: layers.rates.slice(0, layer + 1).reduce((a, b) => a + b, 0),
      viewers: allowances.filter((allowance) => allowance >= from && allowance < next).length,
    };
  });
}

export function layersTable(rows: readonly LayerRow[], width: number): string {
  return rows.length === 0 ? 'No layers have been seen in this stream.' : table(rows, COLUMNS, width);
}

const COLUMNS: readonly Column<LayerRow>[] = [
  { title: 'MEDIA', atLeast: 5, cell: (row) => row.media },
  { title: 'LAYER', align: 'right', cell: (row) => String(row.layer) },
  { title: 'KIND', optional: 1, cell: (row) => row.notion },
  { title: 'BIT/S', align: 'right', cell: (row) => count(row.rate) },
  { title: 'UP TO HERE', align: 'right', cell: (row) => count(row.cumulative) },
  { title: 'VIEWERS', align: 'right', cell: (row) => count(row.viewers) },
];
