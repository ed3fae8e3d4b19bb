// SPDX-License-Identifier: Apache-2.0
// rtsp-fanout --check: all that a start looks at, with the start's own words, and nothing is opened.

import t from 'tap';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { temporaryFolder } from '../../../tools/netns/temporary-folder.js';

const folder = temporaryFolder();
const file = join(folder, 'paths.yaml');
const socket = join(folder, 'api.sock');

function check(...more: string[]) {
  const own = more.includes('--api-socket') ? [] : ['--api-socket', socket];
  const args = ['--check', '--keep', '--datapath', 'userspace', ...own, ...more];
  const { status: code, stdout: out, stderr: err } = spawnSync('bin/rtsp-fanout', args, { encoding: 'utf8' });
  return { code, out, err };
}

t.test('what could start is told in one line, also where the port is taken', async (t) => {
  const busy = createServer().listen(0, '127.0.0.1');
  await once(busy, 'listening');
  t.teardown(() => void busy.close());
  const listen = ['--listen', `127.0.0.1:${(busy.address() as AddressInfo).port}`];
  writeFileSync(file, 'paths:\n  a: { source: "rtsp://192.0.2.7/x" }\n');
  t.same(check(...listen, '--config', file), { code: 0, out: `${file} is fine: 1 path\n`, err: '' });
  const url = check(...listen, 'rtsp://me:secret@192.0.2.7/x');
  t.same(url, { code: 0, out: 'rtsp://192.0.2.7/x is fine: 2 paths\n', err: '' });
  t.notOk(existsSync(socket));
});

t.test('docs/config.md shows what is said of its example', async (t) => {
  const document = readFileSync('docs/config.md', 'utf8');
  writeFileSync(file, /```yaml\n([\s\S]*?)```/.exec(document)![1]!);
  const { out } = check('--config', file);
  t.match(document, `--check --config paths.yaml    # ${out.trim().slice(folder.length + 1)}\n`);
});

t.test('a file at fault: a line for each, with its place', async (t) => {
  writeFileSync(file, 'paths:\n  a: { source: "rtsp://192.0.2.7/x", sauce: 1 }\n  b: {}\n');
  const { code, out, err } = check('--config', file);
  t.same([code, out], [2, '']);
  const [first, second, ...more] = err.split('\n');
  t.match(first, `rtsp-fanout: ${file}:2: sauce is not known here`);
  t.equal(second, `rtsp-fanout: ${file}:3: path b: its source is missing`);
  t.same(more, ['']);
});

t.test('what else a start would stumble over', async (t) => {
  const wrong: [string[], RegExp][] = [
    [['--tls-listen', '1', '--tls-certificate', `${file}.pem`], /yaml\.pem cannot be read: ENOENT/],
    [['--multicast', '239.192.0.0/24', '--multicast-interface', 'nowhere0'], /nowhere0: no device/],
    [['--api-socket', 'x'.repeat(108)], /API socket x+: 108 bytes are too long/],
  ];
  for (const [options, says] of wrong)
    t.match(check(...options, 'rtsp://x'), { code: 2, out: '', err: says }, `${options[0]}`);
  t.match(check(), { code: 2, out: '', err: /missing required argument 'url'/ });
});
