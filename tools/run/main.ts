// SPDX-License-Identifier: Apache-2.0
// `make run`: the proxy in front of the source that URL names, or of the built-in test camera. Both are children of
// this process, end with it, and end it when they end.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const CAMERA = '127.0.0.1:8555';
const PATH = '/camera';

const url = process.env['URL'] ?? '';
const listen = process.env['LISTEN'] ?? '';
const children: ChildProcess[] = [];
let ending = false;

// The children are in process groups of their own: what ends us, Ctrl-C too, reaches them through us, once.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => end(name));

if (url === '')
  start(process.execPath, [projectFile('../camera/main.js'), '--listen', CAMERA, '--path', PATH]);
const source = url || `rtsp://${CAMERA}${PATH}`;
start(projectFile('../../../bin/rtsp-fanout'), [...(listen === '' ? [] : ['--listen', listen]), source]);
const codes = await Promise.all(children.map(codeOf));
process.exitCode = Math.max(...codes);

function start(program: string, args: readonly string[]): void {
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'], detached: true });
  children.push(child);
  child.on('error', (error) => console.error(`${program}: ${error.message}`));
  child.on('exit', () => end('SIGTERM'));
}

async function codeOf(child: ChildProcess): Promise<number> {
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? (ending ? 0 : 1);
}

function end(signal: NodeJS.Signals): void {
  if (ending) return;
  ending = true;
  for (const child of children) if (child.exitCode === null) child.kill(signal);
}

/** Files of the project by their place relative to this one. */
function projectFile(path: string): string {
  return relative(process.cwd(), fileURLToPath(new URL(path, import.meta.url)));
}
