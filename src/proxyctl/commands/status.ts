// SPDX-License-Identifier: Apache-2.0
// `proxyctl status`: the process as a whole, one fact a line.

import type { StatusRow } from '../../control/api/types.js';
import { show, type Register } from '../context.js';
import { printable } from '../table.js';
import { count, duration } from '../units.js';

export const status: Register = (program, context) => {
  program
    .command('status')
    .description('the datapath and why it was chosen, totals, what was dropped or refused')
    .option('--json', 'everything as JSON, reasons with zero included')
    .action(async (options: { json?: true }) => {
      const c = context();
      show(c, options, await c.get<StatusRow>('/status'), statusText);
    });
};

export function statusText(row: StatusRow): string {
  const facts: [string, string][] = [
    ['datapath', `${row.engine}: ${row.why}`],
    ['listening', row.listen],
    ['source', row.source],
    ['up', duration(row.uptimeMs)],
    ['viewers', `${row.viewers} (streams: ${row.streams}, RTSP connections: ${row.connections})`],
    ['dropped', reasons(row.drops)],
    ['refused', reasons(row.refused)],
    ...Object.entries(row.facts).map(([name, value]): [string, string] => [name, String(value)]),
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`).join('\n');
}

function reasons(counts: Readonly<Record<string, number>>): string {
  const happened = Object.entries(counts).filter(([, n]) => n > 0);
  return happened.length === 0
    ? 'nothing'
    : happened.map(([reason, n]) => `${reason} ${count(n)}`).join(', ');
}
