// SPDX-License-Identifier: Apache-2.0
// The test runner: what it must never overlook. Each case is a small test file that goes wrong in its own way.

import t, { type Test } from 'tap';
import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { closingReport, fileReport } from '../../../tools/test/report.js';
import { runFile, type FileResult } from '../../../tools/test/run-file.js';

const NEVER = new AbortController().signal;

/** Runs a test file made of these lines; `limit` in seconds. */
function run(t: Test, lines: string, limit = 20): Promise<FileResult> {
  const folder = t.testdir({ 'case.test.mjs': `import t from 'tap';\n${lines}\n` });
  return runFile(relative(process.cwd(), join(folder, 'case.test.mjs')), limit, NEVER);
}

t.test('passed, failed and skipped tests are counted, failures told in full', async (t) => {
  const result = await run(
    t,
    `t.test('good', async (t) => { t.ok(1); await t.test('inner', { skip: 'needs root' }, async () => {}); });
     t.test('bad', async (t) => { t.equal('is', 'wanted', 'deep reason'); });
     t.test('left out', { skip: 'no clang' }, async () => {});`,
  );
  t.match(result, { passed: 1, failed: 1 });
  t.same(result.skips, [
    { name: 'good > inner', reason: 'needs root' },
    { name: 'left out', reason: 'no clang' },
  ]);
  const text = fileReport(result);
  t.match(text, /^FAILED .* 1 passed, 1 failed, 2 skipped/);
  t.match(text, 'not ok: bad > deep reason');
  t.match(text, /-wanted\n +\+is/);
  t.match(closingReport([result]), /^skipped, needs root \(1\):\n .*: good > inner\n/);
  t.match(closingReport([result]), /\n1 passed, 1 failed, 2 skipped$/);
});

t.test('a file that fails outside its tests fails', async (t) => {
  const failing = async (lines: string, name: string, diagnosis: RegExp, limit = 20) => {
    const result = await run(t, lines, limit);
    t.ok(result.failed > 0, name);
    t.ok(
      result.failures.some(
        (failure) => failure.name.includes(name) && diagnosis.test(String(failure.diagnosis)),
      ),
      `${name}: ${JSON.stringify(result.failures)}`,
    );
    return result;
  };
  await failing('', 'the file itself', /no test in it/);
  await failing(
    "t.test('x', async (t) => { t.ok(1); }); t.teardown(() => process.exit(3));",
    'the file itself',
    /code 3/,
  );
  await failing("import './nothing.js';", 'the file itself', /exit code 1/);
  await failing("t.ok(1); process.kill(process.pid, 'SIGKILL');", 'the file itself', /SIGKILL/);
  await failing('t.plan(2); t.ok(1);', 'test count(1) != plan(2)', /./);
  const stuck = await failing('t.ok(1); for (;;);', 'time limit', /not over after 1 s/, 1);
  t.ok(stuck.ms < 15_000, 'a stuck event loop is ended');
});

t.test('a process that a file leaves behind is a failure, and is ended', async (t) => {
  const result = await run(
    t,
    `import { spawn } from 'node:child_process';
     t.test('x', async (t) => { t.ok(spawn('sleep', ['1000'], { stdio: 'inherit' }).unref() === undefined); });`,
  );
  t.match(result, { passed: 1, failed: 1 });
  const [failure] = result.failures;
  t.match(failure, { name: 'processes left behind', diagnosis: /^\d+ sleep 1000$/ });
  const pid = Number(/^\d+/.exec(String(failure?.diagnosis))?.[0]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.notOk(runs(pid));
});

t.test('a whole file may be skipped, with its reason', async (t) => {
  const result = await run(t, "t.plan(0, 'needs a network');");
  t.match(result, { passed: 0, failed: 0, skips: [{ name: 'whole file', reason: 'needs a network' }] });
});

/** Whether it runs; a zombie does not. */
function runs(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}
