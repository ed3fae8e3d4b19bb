// SPDX-License-Identifier: Apache-2.0
// bin/rtsp-fanout: builds the parts, plugs them together, and closes them in reverse. Exit code 0 after SIGINT, SIGTERM
// or SIGHUP, 1 when it cannot run or has a fault, 2 when the command line or the configuration is wrong; a second signal
// ends it at once. With --config or --tls-listen SIGHUP does not end it (serve.ts).

import { constants } from 'node:os';
import { checkStart } from './check.js';
import { goesOnAfterFault } from './hold/fault.js';
import { holderIn } from './hold/manager.js';
import { createLog } from './log.js';
import { parseCommandLine } from './options.js';
import { Parts } from './parts.js';
import { pathsGiven } from './paths-given.js';
import { serve } from './serve.js';
import { programCommand } from './upgrade.js';

/** What closing may take: upstream TEARDOWNs are awaited for a while, a stuck part is not. */
const CLOSE_MS = 5000;
/** One wish may reach us twice: from the terminal and from a parent that passes it on, or from timeout(1). */
const SAME_WISH_MS = 500;

const options = parseCommandLine(process.argv);
/** SIGHUP has files to be read again: of paths, or of certificates. */
const reloads = options.config !== undefined || options.listen.tls !== undefined;
const paths = orExit(() => pathsGiven(options));
if (options.check) {
  process.stdout.write(`${orExit(() => checkStart(options, paths))}\n`);
  process.exit(0);
}
const log = createLog(options.logLevel);
const heldBy = holderIn(process.env);
if (options.keep && heldBy !== 'keeper') {
  const { keep } = await import('./hold/keeper.js');
  process.exit(
    await keep({
      command: [...programCommand(), ...process.argv.slice(2)],
      log,
      hangupReloads: reloads,
    }),
  );
}
const parts = new Parts(log);
let endingSince: number | undefined; // performance.now()

const ending = reloads ? (['SIGINT', 'SIGTERM'] as const) : (['SIGINT', 'SIGTERM', 'SIGHUP'] as const);
for (const name of ending)
  process.on(name, () => {
    if (endingSince === undefined) {
      log.info({ signal: name }, 'closing');
      void end(0);
    } else if (performance.now() - endingSince > SAME_WISH_MS) process.exit(128 + constants.signals[name]);
  });
if (reloads) process.on('SIGHUP', () => {}); // serve.ts reads them again
process.on('uncaughtException', (error) => {
  log.error({ err: error }, 'a fault of this program');
  if (endingSince !== undefined) return;
  if (goesOnAfterFault(heldBy, process.uptime() * 1000)) process.exit(1);
  void end(1);
});
// Whoever read our output may have gone: no reason to stop serving.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

const serving = serve(options, paths, parts, log);
try {
  const banner = await serving;
  if (endingSince === undefined) process.stdout.write(banner);
} catch (error) {
  process.stderr.write(`rtsp-fanout: ${(error as Error).message}\n`);
  await end(1);
}

/** Exit code 2 with a line on stderr for each fault. */
function orExit<T>(look: () => T): T {
  try {
    return look();
  } catch (error) {
    process.stderr.write(`${(error as Error).message.replaceAll(/^/gm, 'rtsp-fanout: ')}\n`);
    process.exit(2);
  }
}

async function end(code: number): Promise<void> {
  endingSince = performance.now();
  setTimeout(() => {
    log.error({ afterMs: CLOSE_MS }, 'closing takes too long');
    process.exit(1);
  }, CLOSE_MS).unref();
  await serving.catch(() => {}); // what is being built can be closed when it is built
  await parts.close();
  process.exit(code);
}
