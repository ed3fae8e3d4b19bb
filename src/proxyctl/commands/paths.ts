// SPDX-License-Identifier: Apache-2.0
// `proxyctl paths`: what viewers may ask for, and what of it is watched.

import type { PathRow } from '../../control/api/types.js';
import { show, type Register } from '../context.js';
import { printable, table, type Column } from '../table.js';
import { count, duration } from '../units.js';

export const paths: Register = (program, context) => {
  program
    .command('paths')
    .description('what viewers may ask for: names and patterns, their sources, streams that are open')
    .option('--json', 'everything as JSON')
    .action(async (options: { json?: true }) => {
      const c = context();
      show(c, options, await c.get<PathRow[]>('/paths'), (rows) =>
        [table(rows, COLUMNS, c.width), ...troubles(rows)].join('\n'),
      );
    });
};

/** A line each: sentences do not fit a table. */
function troubles(rows: readonly PathRow[]): string[] {
  return rows.flatMap(({ path, trouble }) =>
    trouble === null ? [] : [`${printable(path)} cannot be had: ${printable(trouble)}`],
  );
}

const COLUMNS: readonly Column<PathRow>[] = [
  { title: 'PATH', atLeast: 8, cell: ({ path }) => path },
  { title: 'STREAMS', align: 'right', cell: ({ streams }) => count(streams) },
  { title: 'VIEWERS', align: 'right', cell: ({ viewers }) => count(viewers) },
  { title: 'OWN', align: 'right', cell: ({ own }) => count(own) },
  {
    title: 'EVERY',
    align: 'right',
    optional: 1,
    cell: ({ staggerMs }) => (staggerMs === null ? '-' : duration(staggerMs)),
  },
  {
    title: 'MOST',
    align: 'right',
    cell: ({ maxViewers }) => (maxViewers === null ? '-' : count(maxViewers)),
  },
  { title: 'SOURCE', atLeast: 12, cell: ({ source }) => source },
];
