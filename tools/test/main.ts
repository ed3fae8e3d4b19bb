// SPDX-License-Identifier: Apache-2.0
// Runs compiled test files (written with tap) and reports. Usage: node dist/tools/test/main.js FILE.test.js...
// Unit tests run two at a time; those that own namespaces, ports or the kernel's tables run alone, one by one.
// Why not tap's own command: docs/adr/0008-tap.md.

import { closingReport, fileReport } from './report.js';
import { runFile, type FileResult } from './run-file.js';

/** What the fuzzers are asked for (make fuzz), beside what the rest of a file takes. */
const FUZZ_SECONDS = Number(process.env['FUZZ_SECONDS'] ?? 0);
/** Per folder below test/: seconds that one file may take, and whether it may run beside another one. */
const FOLDERS: Readonly<Record<string, { limitSeconds: number; alone: boolean }>> = {
  unit: { limitSeconds: 60, alone: false },
  lint: { limitSeconds: 60, alone: false },
  fuzz: { limitSeconds: 120 + FUZZ_SECONDS, alone: false },
  bpf: { limitSeconds: 120, alone: true },
  netns: { limitSeconds: 300, alone: true },
  vm: { limitSeconds: 120, alone: true },
};
const BESIDE_EACH_OTHER = 2;

const files = process.argv.slice(2);
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());

const results: FileResult[] = [];
const shared = files.filter((file) => !folderOf(file).alone);
const alone = files.filter((file) => folderOf(file).alone);
await Promise.all(Array.from({ length: BESIDE_EACH_OTHER }, () => drain(shared)));
await drain(alone);

if (interrupted.signal.aborted) console.log('interrupted: the files that are missing above did not run');
console.log(closingReport(results));
const good = results.every((r) => r.failed === 0) && results.some((r) => r.passed > 0);
process.exitCode = good && !interrupted.signal.aborted ? 0 : 1;

async function drain(queue: string[]): Promise<void> {
  while (!interrupted.signal.aborted) {
    const file = queue.shift();
    if (file === undefined) return;
    const result = await runFile(file, folderOf(file).limitSeconds, interrupted.signal);
    results.push(result);
    console.log(fileReport(result));
  }
}

function folderOf(file: string): { limitSeconds: number; alone: boolean } {
  const name = /(?:^|\/)test\/([^/]+)\//.exec(file)?.[1] ?? '';
  return FOLDERS[name] ?? { limitSeconds: 60, alone: true };
}
