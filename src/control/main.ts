// SPDX-License-Identifier: Apache-2.0
// bin/rtsp-fanout: builds the parts, plugs them together, and closes them in reverse. Exit code 0 after SIGINT,
// SIGTERM or SIGHUP, 1 when it cannot run, 2 when the command line is wrong; a second signal ends it at once.

import { constants } from 'node:os';
import { createLog } from './log.js';
import { parseCommandLine } from './options.js';
import { Parts } from './parts.js';
import { serve } from './serve.js';

/** What closing may take: upstream TEARDOWNs are awaited for a while, a stuck part is not. */
const CLOSE_MS = 5000;

const options = parseCommandLine(process.argv);
const log = createLog(options.logLevel);
const parts = new Parts(log);
let ending = false;

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => {
    if (ending) process.exit(128 + constants.signals[name]);
    log.info({ signal: name }, 'closing');
    void end(0);
  });
process.on('uncaughtException', (error) => {
  log.error({ err: error }, 'a fault of this program');
  if (!ending) void end(1);
});
// Whoever read our output may have gone: no reason to stop serving.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

try {
  const banner = await serve(options, parts, log);
  if (!ending) process.stdout.write(banner);
} catch (error) {
  process.stderr.write(`rtsp-fanout: ${(error as Error).message}\n`);
  await end(1);
}

async function end(code: number): Promise<void> {
  ending = true;
  setTimeout(() => {
    log.error({ afterMs: CLOSE_MS }, 'closing takes too long');
    process.exit(1);
  }, CLOSE_MS).unref();
  await parts.close();
  process.exit(code);
}
