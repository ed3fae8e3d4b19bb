// SPDX-License-Identifier: Apache-2.0
// `proxyctl leftovers`: what a killed proxy left in the kernel of this network namespace. Asks the kernel, no proxy.

import type { Leftover } from '../../control/kernel/leftovers.js';
import { ProxyctlError, show, type Register } from '../context.js';
import { table, type Column } from '../table.js';
import { duration } from '../units.js';

export const leftovers: Register = (program, context) => {
  program
    .command('leftovers')
    .description('what a killed proxy left in the kernel (needs root)')
    .option('--remove', 'remove it; what a living proxy uses is not touched')
    .option('--json', 'as JSON')
    .action(async (options: { json?: true; remove?: true }) => {
      const c = context();
      const found = await fromKernel(options.remove === true);
      show(c, options, found, (rows) => leftoversText(rows, options.remove === true, c.width));
    });
};

export function leftoversText(rows: readonly Leftover[], removed: boolean, width: number): string {
  if (rows.length === 0) return 'Nothing is left of a killed proxy.';
  return `${removed ? 'Removed' : 'Left in the kernel'}:\n${table(rows, COLUMNS, width)}`;
}

const COLUMNS: readonly Column<Leftover>[] = [
  { title: 'PORT', align: 'right', cell: (row) => String(row.port) },
  { title: 'PID', align: 'right', cell: (row) => String(row.pid) },
  { title: 'SILENT', align: 'right', cell: (row) => duration(row.silentSeconds * 1000) },
  { title: 'STREAMS', align: 'right', cell: (row) => String(row.streams) },
  { title: 'DEVICES', atLeast: 8, cell: (row) => row.devices.join(' ') },
  { title: 'VIEWERS', atLeast: 8, cell: (row) => row.viewers.join(' ') || '-' },
];

async function fromKernel(remove: boolean): Promise<Leftover[]> {
  try {
    // Only here: the other commands must work without libbpf on this machine.
    const kernel = await import('../../control/kernel/leftovers.js');
    return await (remove ? kernel.removeLeftovers() : kernel.listLeftovers());
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    throw new ProxyctlError(code === 'EPERM' ? `${message}: run proxyctl as root` : message, {
      cause: error,
    });
  }
}
