// SPDX-License-Identifier: Apache-2.0
// `proxyctl kick ID`: ends one viewer's session, or what one publisher sends.

import { InvalidArgumentError } from 'commander';
import { show, type Register } from '../context.js';

export const kick: Register = (program, context) => {
  program
    .command('kick')
    .description('end what one viewer or publisher does and close its connection')
    .argument('<id>', 'as `proxyctl clients` shows it', viewerId)
    .option('--json', 'answer as JSON')
    .action(async (id: number, options: { json?: true }) => {
      const c = context();
      const answer = await c.post<{ kicked: number }>(`/clients/${id}/kick`);
      show(c, options, answer, ({ kicked }) => `Client ${kicked} is gone.`);
    });
};

function viewerId(text: string): number {
  const id = Number(text);
  if (!/^\d+$/.test(text) || id < 1 || id >= 2 ** 32)
    throw new InvalidArgumentError('It is a number from 1 on: see `proxyctl clients`.');
  return id;
}
