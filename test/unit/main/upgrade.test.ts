// SPDX-License-Identifier: Apache-2.0
// SIGUSR2: what the installed version is asked, and that nothing is given up when its answer is no. A script stands for it.

import t, { type Test } from 'tap';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stateFormat } from '../../../src/control/hold/state-format.js';
import { makeWay, PROGRAM_VARIABLE } from '../../../src/control/upgrade.js';
import { temporaryFolder } from '../../../tools/netns/temporary-folder.js';

const URL = 'rtsp://me:secret@192.0.2.7/x';
const OUR_STATE = `echo '${stateFormat()}'`;

interface Installed {
  /** Shell, upon --takes-over. */
  readonly state?: string;
  /** Shell, upon --check. */
  readonly check: string;
}

/** Rejects with `quiet` where the process would have ended. */
function ask(t: Test, { state = OUR_STATE, check }: Installed, ours = () => {}): Promise<never> {
  const program = join(temporaryFolder(), 'rtsp-fanout');
  const script = ['#!/bin/sh', 'case "$*" in', `--takes-over) ${state};;`, `'--check ${URL}') ${check};;`];
  writeFileSync(program, [...script, '*) exit 77;;', 'esac', ''].join('\n'));
  chmodSync(program, 0o755);
  const { argv } = process;
  process.env[PROGRAM_VARIABLE] = program;
  process.argv = ['node', 'main.js', URL];
  t.teardown(() => {
    delete process.env[PROGRAM_VARIABLE];
    process.argv = argv;
  });
  return makeWay({ held: true, check: ours, quiesce: () => Promise.reject(new Error('quiet')) });
}

const refused = (...lines: string[]) =>
  `${lines.map((line) => `echo "rtsp-fanout: ${line}" >&2`).join(';')}; exit 2`;

t.test('it goes on with our state and would start: this one makes way', async (t) => {
  await t.rejects(ask(t, { check: 'echo fine' }), { message: 'quiet' });
});

t.test('it has another state', async (t) => {
  const other = ask(t, { state: 'echo journal 0', check: 'echo fine' });
  await t.rejects(other, { message: /goes on with "journal 0", this one has "journal/ });
});

t.test('it would not start: refused, in its words', async (t) => {
  const check = refused('paths.yaml:2: sauce is not known here', 'paths.yaml:3: path b: no source');
  const message =
    'the installed version would not start: paths.yaml:2: sauce is not known here\npaths.yaml:3: path b: no source';
  await t.rejects(ask(t, { check }), { message });
});

t.test('it says nothing, or is not there: no password is told', async (t) => {
  const crash = ask(t, { check: 'kill -9 $$' });
  await t.rejects(crash, { message: 'the installed version would not start: SIGKILL' });
  const gone = ask(t, { state: 'exit 1', check: '' });
  await t.rejects(gone, { message: 'the installed version cannot be asked: 1' });
});

t.test('it is from before --check: this version looks in its place', async (t) => {
  const check = refused("unknown option '--check' (--help tells more)");
  await t.rejects(ask(t, { check }), { message: 'quiet' });
  const wrong = () => {
    throw new Error('paths.yaml:2: sauce is not known here');
  };
  await t.rejects(ask(t, { check }, wrong), { message: 'paths.yaml:2: sauce is not known here' });
});
