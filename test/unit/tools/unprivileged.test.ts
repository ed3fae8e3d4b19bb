// SPDX-License-Identifier: Apache-2.0
// What unprivileged() makes of a command line, as root.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import t from 'tap';
import { unprivileged } from '../../../tools/netns/unprivileged.js';

const skip = process.getuid?.() !== 0 && 'only root can give it away';

t.test('a program without root', { skip }, async (t) => {
  const own = join(t.testdir(), 'own', 'bin');
  mkdirSync(own, { recursive: true });
  chmodSync(join(own, '..'), 0o700);
  const path = process.env['PATH'] ?? '';
  t.teardown(() => void (process.env['PATH'] = path));
  process.env['PATH'] = [join(own, 'nowhere'), own, path].join(delimiter);
  const [program = '', ...words] = unprivileged();
  const uid = spawnSync(program, [...words, 'id', '-un'], { encoding: 'utf8' });
  t.equal(uid.stdout.trim(), 'nobody');
  const missing = spawnSync(program, [...words, 'no-such-program'], { encoding: 'utf8' });
  t.equal(missing.status, 127, missing.stderr);
});
