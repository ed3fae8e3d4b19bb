// SPDX-License-Identifier: Apache-2.0
// Runs test files inside the guest, one by one, and reports as `make test` does. There everything that a test may need is
// at hand, so one that is skipped is a failure. Usage: guest.js FILE.test.js...
import { release } from 'node:os';
import { basename } from 'node:path';
import { closingReport, fileReport } from '../test/report.js';
import { type FileResult, runFile } from '../test/run-file.js';

/** Tests whose load takes a real processor; the smaller ones of test/vm stand in for them. */
const TOO_MUCH = ['membership.test.js', 'tc-join.test.js'];
/** For one file: a processor is emulated some thirty times slower than it is, and may be shared. */
const LIMIT_SECONDS = 400;

console.log(`test-kernel: on kernel ${release()}`);
const results: FileResult[] = [];
for (const file of process.argv.slice(2)) {
  if (TOO_MUCH.includes(basename(file))) {
    console.log(`left   ${file}  its load takes a real processor`);
    continue;
  }
  const result = await runFile(file, LIMIT_SECONDS, new AbortController().signal);
  results.push(result);
  console.log(fileReport(result));
  if (result.failed === 0 && result.stderr.trim() !== '') console.log(result.stderr.trimEnd());
}
console.log(closingReport(results));
const bad = results.some(({ failed, skips }) => failed > 0 || skips.length > 0);
process.exitCode = results.length > 0 && !bad ? 0 : 1;
