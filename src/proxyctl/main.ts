// SPDX-License-Identifier: Apache-2.0
// proxyctl: shows and steers a running proxy. Exit code 0, 1 when the proxy cannot be asked or refuses, 2 when the
// command line is wrong. A new command is one file in commands/ and its name in COMMANDS.

import { Command } from 'commander';
import { defaultSocketPath } from '../control/api/socket-path.js';
import { ApiError } from './api-client.js';
import { clients } from './commands/clients.js';
import { flush } from './commands/flush.js';
import { kick } from './commands/kick.js';
import { status } from './commands/status.js';
import { streams } from './commands/streams.js';
import { createContext, type Register } from './context.js';

const COMMANDS: readonly Register[] = [clients, streams, status, kick, flush];

const program = new Command('proxyctl')
  .description('Shows and steers a running rtsp-fanout proxy.')
  .option('--api-socket <path>', "the proxy's unix socket", defaultSocketPath())
  .configureOutput({ outputError: (text, write) => write(`proxyctl: ${oneLine(text)}\n`) })
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
for (const register of COMMANDS)
  register(program, () => createContext(program.opts<{ apiSocket: string }>().apiSocket));

if (process.argv.length <= 2) program.error('say what to do: proxyctl --help lists it');
try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof ApiError)) throw error;
  process.stderr.write(`proxyctl: ${error.message}\n`);
  process.exitCode = 1;
}

function oneLine(text: string): string {
  return text
    .replace(/^error: /, '')
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ');
}
