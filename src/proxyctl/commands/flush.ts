// SPDX-License-Identifier: Apache-2.0
// `proxyctl flush`: ends everything that goes on; the proxy itself stays.

import { show, type Register } from '../context.js';

export const flush: Register = (program, context) => {
  program
    .command('flush')
    .description('end every session, viewers and upstream; the proxy stays')
    .option('--json', 'answer as JSON')
    .action(async (options: { json?: true }) => {
      const c = context();
      const answer = await c.post<{ flushed: number }>('/flush');
      show(
        c,
        options,
        answer,
        ({ flushed }) => `Flushed: ${flushed} viewer${flushed === 1 ? '' : 's'} ended.`,
      );
    });
};
