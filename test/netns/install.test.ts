// SPDX-License-Identifier: Apache-2.0
// What `make install` leaves is whole without this folder: it runs, it is what a running proxy makes way for, and systemd
// understands the unit.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Child, run } from '../../tools/netns/child.js';
import { canRun } from '../../tools/netns/probe.js';
import { temporaryFolder } from '../../tools/netns/temporary-folder.js';
import { until } from '../../tools/netns/wait.js';
import { freePort } from './product.js';

t.setTimeout(200_000);

const skip = canRun('make', ['--version']) ?? canRun('npm', ['--version']) ?? false;
const root = temporaryFolder();
const house = join(root, 'usr/local/lib/rtsp-fanout');
const program = join(root, 'usr/local/bin/rtsp-fanout');
const unit = () => readFileSync(join(root, 'usr/local/lib/systemd/system/rtsp-fanout.service'), 'utf8');
/** Not as a part of the make that may run this test. */
const make = (target: string) =>
  run('make', ['-s', target, `DESTDIR=${root}`], { env: { MAKEFLAGS: '' }, timeoutMs: 100_000 });

t.test('installed below DESTDIR', { skip }, async (t) => {
  await make('install');
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const elsewhere = { cwd: root };
  t.equal(await run(program, ['--version'], elsewhere), `${version}\n`);
  t.match(await run(program, ['--help'], elsewhere), 'Usage: rtsp-fanout');
  const check = await run(program, ['--check', 'rtsp://192.0.2.7/x'], elsewhere);
  t.equal(check, 'rtsp://192.0.2.7/x is fine: 2 paths\n');
  t.match(await run(join(root, 'usr/local/bin/proxyctl'), ['--help'], elsewhere), 'Usage: proxyctl');
  t.equal(
    existsSync(join(house, 'dist/bpf')),
    existsSync('dist/bpf'),
    'the kernel programs, where there are any',
  );
  for (const notShipped of ['node_modules/typescript', 'node_modules/tap', 'dist/test', 'src'])
    t.notOk(existsSync(join(house, notShipped)), notShipped);
});

t.test('it serves, and makes way for what is installed over it', { skip }, async (t) => {
  const listen = ['--listen', `127.0.0.1:${await freePort()}`, '--api-socket', join(root, 'api.sock')];
  const args = ['--keep', '--datapath', 'userspace', ...listen, 'rtsp://127.0.0.1:1/x'];
  const keeper = await Child.start(program, args, { cwd: root });
  const proxy = () =>
    Number(readFileSync(`/proc/${keeper.pid}/task/${keeper.pid}/children`, 'utf8').split(' ')[0]);
  try {
    await keeper.output(/open +rtsp:/, 30_000);
    const former = proxy();
    await make('install');
    t.same(readdirSync(join(root, 'usr/local/lib')), ['rtsp-fanout', 'systemd'], 'nothing of the one before');
    keeper.signal('SIGUSR2');
    await until(
      'another process',
      () => ![0, former].includes(proxy()),
      30_000,
      () => keeper.describe(),
    );
    await until('it to serve', () => keeper.stdout.split('open ').length === 3, 30_000);
    t.equal((await keeper.stop('SIGTERM', 10_000)).code, 0);
  } finally {
    await keeper.stop('SIGKILL');
  }
});

t.test(
  'the unit can be enabled, is never given up, and has the privileges of the README',
  { skip },
  async (t) => {
    const keys = new Map(
      unit()
        .match(/^#?[A-Z]\w+=.*/gm)!
        .map((line) => line.split(/=(.*)/, 2) as [string, string]),
    );
    t.same(unit().match(/^\[\w+\]$/gm), ['[Unit]', '[Service]', '[Install]']);
    t.match(Object.fromEntries(keys), {
      ...{ After: 'network-online.target', StartLimitIntervalSec: '0', WantedBy: 'multi-user.target' },
      ...{ Type: 'notify', Restart: 'always', RestartSec: '1' },
      ExecStart: '/usr/local/bin/rtsp-fanout --config /etc/rtsp-fanout/paths.yaml',
    });
    const [, engines = ''] = /^\| `xdp` \| (.*?) \|/m.exec(readFileSync('README.md', 'utf8'))!;
    t.same(keys.get('#AmbientCapabilities')!.split(' '), engines.match(/CAP_\w+/g));
  },
);

t.test(
  'systemd has nothing to say against it, the lines without root included',
  {
    skip: skip || (canRun('systemd-analyze', ['--version']) ?? false),
  },
  async (t) => {
    const file = join(root, 'rtsp-fanout.service');
    const here = unit().replaceAll('/usr/local/', `${root}/usr/local/`);
    for (const text of [here, here.replaceAll(/^#([A-Z]\w+=)/gm, '$1').replace(/^User=.*/m, 'User=daemon')]) {
      writeFileSync(file, text);
      const verify = await Child.start('systemd-analyze', ['verify', file]);
      const { code } = await verify.finish();
      t.same([code, verify.stderr], [0, '']);
    }
  },
);

t.test('make uninstall leaves nothing', { skip }, async (t) => {
  await make('uninstall');
  t.same(readdirSync(join(root, 'usr/local/bin')), []);
  t.same(readdirSync(join(root, 'usr/local/lib')), ['systemd']);
  t.same(readdirSync(join(root, 'usr/local/lib/systemd/system')), []);
});
