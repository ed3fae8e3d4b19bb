// SPDX-License-Identifier: Apache-2.0
// proxyctl: shows and steers a running proxy. Exit code 0, 1 when the proxy cannot be asked or refuses, 2 when the
// command line is wrong. A new command is one file in commands/ and its name in COMMANDS.

import { readFileSync } from 'node:fs';
import { newProgram } from '../command-line.js';
import { defaultSocketPath } from '../control/api/socket-path.js';
import { ProxyctlError } from './api-client.js';
import { clients } from './commands/clients.js';
import { flush } from './commands/flush.js';
import { kick } from './commands/kick.js';
import { layers } from './commands/layers.js';
import { leftovers } from './commands/leftovers.js';
import { paths } from './commands/paths.js';
import { status } from './commands/status.js';
import { streams } from './commands/streams.js';
import { createContext, type Register } from './context.js';

const COMMANDS: readonly Register[] = [clients, streams, layers, paths, status, kick, flush, leftovers];

/** The package's, as of rtsp-fanout; this file runs from dist/src/proxyctl. */
const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = newProgram('proxyctl')
  .description('Shows and steers a running rtsp-fanout proxy.')
  .option('--api-socket <path>', "the proxy's unix socket", defaultSocketPath())
  .version(version);
for (const register of COMMANDS)
  register(program, () => createContext(program.opts<{ apiSocket: string }>().apiSocket));

// The reader of a pipe (head, less) may have seen enough.
process.stdout.on('error', () => process.exit(0));
if (process.argv.length <= 2) program.error('say what to do');
try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof ProxyctlError)) throw error;
  process.stderr.write(`proxyctl: ${error.message}\n`);
  process.exitCode = 1;
}
