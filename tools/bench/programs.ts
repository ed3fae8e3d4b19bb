// SPDX-License-Identifier: Apache-2.0
// Where the benchmark's programs are, and that they are built.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Child } from '../netns/child.js';

/** What the engine runs with; the same with every copy lost that the egress does not take at once; that with the same viewer always first. */
export const OBJECTS = 'dist/bpf';
export const OBJECTS_WITHOUT_DEFERRAL = 'build/bench/no-deferral';
export const OBJECTS_WITHOUT_ROTATION = 'build/bench/no-rotation';

let built = false;

/** Path of a program of tools/bench in C; builds them all when they are missing or old. @throws make's output. */
export function benchTool(
  name: 'sendto' | 'blast' | 'bpf-stats' | 'broadcast' | 'latency' | 'sink' | 'tcp-writer',
): string {
  buildTools();
  return `build/bench/${name}`;
}

export function buildTools(): void {
  if (!built) execFileSync('make', ['-s', '-C', 'tools/bench'], { encoding: 'utf8', stdio: 'pipe' });
  built = true;
}

/** Path of a compiled program of this project, wherever the compiler's output went. */
export const compiled = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Sends a line to a program that answers each with one line of JSON after its "ready". */
export async function askLine<T>(child: Child, timeoutMs = 10_000): Promise<T> {
  const lines = child.stdout.split('\n').length;
  child.write('\n');
  const [, line = ''] = await child.output(
    new RegExp(`^(?:.*\\n){${lines - 1}}([\\[{].*[\\]}])\\n`),
    timeoutMs,
  );
  return JSON.parse(line) as T;
}
