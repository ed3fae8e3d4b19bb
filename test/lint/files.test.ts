// SPDX-License-Identifier: Apache-2.0
// The shape of each file: licence, what it is for, length; and nothing in it that is true on one machine only.

import t from 'tap';
import { existsSync, readFileSync } from 'node:fs';
import { generate } from '../../tools/abi/generate.js';
import { projectFiles, typeScriptFiles } from './files.js';

const MAX_LINES = 400;
const GENERATED = 'src/control/kernel/abi.gen.ts';
const BPF_OBJECT = 'dist/bpf/command.bpf.o';

t.test('first line names the licence, the second begins to say what the file is for', async (t) => {
  for (const file of typeScriptFiles().filter((name) => !name.endsWith('.d.ts'))) {
    const [first, second] = readFileSync(file, 'utf8').split('\n');
    t.equal(first, '// SPDX-License-Identifier: Apache-2.0', file);
    t.match(second, /^\/\/ \S/, file);
  }
  for (const file of projectFiles().filter((name) => /^bpf\/.*\.[ch]$/.test(name)))
    t.match(
      readFileSync(file, 'utf8').split('\n')[0],
      /^(\/\/|\/\*) SPDX-License-Identifier: GPL-2\.0-only/,
      file,
    );
});

t.test(`no source file is longer than ${MAX_LINES} lines`, async (t) => {
  const sources = projectFiles().filter((name) => /\.(ts|c|h|sh)$/.test(name) && name !== GENERATED);
  const long = sources.filter((file) => readFileSync(file, 'utf8').split('\n').length - 1 > MAX_LINES);
  t.same(long, []);
});

t.test('no file names a folder of one machine', async (t) => {
  // Put together from parts: this file is read too.
  const machine = new RegExp(`(?<![\\w.$})-])/(?:${['work', 'tmp', 'home'].join('|')})/\\w`);
  const found = projectFiles()
    .filter((file) => file !== 'package-lock.json')
    .filter((file) => machine.test(readFileSync(file, 'utf8')));
  t.same(found, []);
  t.match(`see /${'work'}/main`, machine);
  t.notMatch('src/work/main and https://example.org/work', machine);
});

t.test('the lock file names no registry', async (t) => {
  const lock = readFileSync('package-lock.json', 'utf8');
  t.notMatch(lock, /"resolved":/);
  t.notMatch(lock, /\/\/registry\./);
});

const noObject = existsSync(BPF_OBJECT) ? false : `${BPF_OBJECT} is not built: no clang here`;
t.test('the TypeScript twin of the ABI is what the compiled header says', { skip: noObject }, async (t) => {
  t.equal(generate(BPF_OBJECT), readFileSync(GENERATED, 'utf8'), 'make abi writes it anew');
});
