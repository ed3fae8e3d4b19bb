// SPDX-License-Identifier: Apache-2.0
// Runs one compiled test file in a process group of its own, within a time limit. Whatever the group leaves behind
// is a failure of that file, and is ended.

import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { processGroup } from './process-group.js';
import { TapStream, type Failure, type TapResult } from './tap-stream.js';

/** Kept of what a file writes on stderr, bytes; the end matters most. */
const STDERR_LIMIT = 64 * 1024;
/** From SIGTERM (the file's own cleaning up) to SIGKILL. */
const GRACE_MS = 4000;

export interface FileResult extends TapResult {
  readonly file: string;
  readonly ms: number;
  readonly stderr: string;
}

/** Never rejects: everything that goes wrong is a failure in the result. */
export async function runFile(file: string, limitSeconds: number, signal: AbortSignal): Promise<FileResult> {
  const began = performance.now();
  const tap = new TapStream();
  let stderr = Buffer.alloc(0);
  const child = spawn(process.execPath, ['--enable-source-maps', file], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TAP: '1', TAP_TIMEOUT: String(limitSeconds) },
  });
  child.stdout.on('data', (chunk: Buffer) => tap.write(chunk));
  child.stderr.on(
    'data',
    (chunk: Buffer) => (stderr = Buffer.concat([stderr, chunk]).subarray(-STDERR_LIMIT)),
  );
  const group = processGroup(child.pid);

  let late = false;
  const stop = () => void group.end(GRACE_MS);
  // Later than tap's own limit, which tells more: this one is for a file whose event loop is stuck.
  const timer = setTimeout(() => ((late = true), stop()), (limitSeconds + 2) * 1000);
  signal.addEventListener('abort', stop);
  const exit = await new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(`cannot be started: ${error.message}`));
    child.on('exit', (code, name) => resolve(name ? `ended by ${name}` : code ? `exit code ${code}` : ''));
  });
  clearTimeout(timer);
  signal.removeEventListener('abort', stop);

  const outside: Failure[] = [];
  await drained(child.stdout);
  const result = await tap.end();
  if (late) outside.push({ name: 'time limit', diagnosis: `not over after ${limitSeconds} s` });
  else if (exit.startsWith('ended by') || (exit !== '' && result.failed === 0))
    outside.push({ name: 'the file itself', diagnosis: exit });
  else if (result.passed + result.failed + result.skips.length === 0)
    outside.push({ name: 'the file itself', diagnosis: 'has no test in it' });
  const left = await group.leftovers();
  if (left.length > 0) outside.push({ name: 'processes left behind', diagnosis: left.join('\n') });
  await group.end(0);

  return {
    ...result,
    failed: result.failed + outside.length,
    failures: [...result.failures, ...outside],
    file,
    ms: performance.now() - began,
    stderr: stderr.toString(),
  };
}

/** A process left behind may hold the pipe open for ever: half a second is enough for what is in it. */
async function drained(stream: NodeJS.ReadableStream & { readonly readableEnded: boolean }): Promise<void> {
  if (stream.readableEnded) return;
  await Promise.race([new Promise((resolve) => stream.once('end', resolve)), sleep(500)]);
}
