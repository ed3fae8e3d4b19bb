// SPDX-License-Identifier: Apache-2.0
// `proxyctl leftovers` with private devices that nobody uses any more: what it shows, and that it removes what it says.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { removeVeth } from '../../src/control/kernel/private-veth.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { ip } from '../fixtures/kernel-bench.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const PORT = 8554;
const WITHOUT_NET_ADMIN = ['--bounding-set=-net_admin', '--inh-caps=-net_admin'];

function run(program: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

function leaveDevices(): void {
  for (const use of ['q', 'l'])
    ip('link', 'add', `rfo${PORT}-${use}0`, 'type', 'veth', 'peer', 'name', `rfo${PORT}-${use}1`);
}

const devices = () => run('ip', '-brief', 'link').stdout.match(/^rfo[^@ ]+/gm) ?? [];

t.test('private devices alone are shown, and removed by who may', { skip }, async (t) => {
  leaveDevices();
  const left = /^8554 +0 +0s +0 +rfo8554-q1 rfo8554-q0 rfo8554-l1 rfo8554-l0 +-$/m;
  t.match(run('bin/proxyctl', 'leftovers'), { status: 0, stdout: left });

  const refused = run('setpriv', ...WITHOUT_NET_ADMIN, 'bin/proxyctl', 'leftovers', '--remove');
  t.match(refused, { status: 1, stdout: '' }, 'no word of what was not removed');
  t.match(refused.stderr, /^proxyctl: [^\n]*needs CAP_NET_ADMIN: run proxyctl as root\n$/);
  t.equal(devices().length, 4);

  t.match(run('bin/proxyctl', 'leftovers', '--remove'), { status: 0, stdout: /^Removed:/ });
  t.same(devices(), []);
  t.match(run('bin/proxyctl', 'leftovers'), { status: 0, stdout: /^Nothing is left/ });
});

t.test('a device that cannot be removed is told, one that is not there is fine', { skip }, async (t) => {
  await removeVeth(PORT, 'queue');
  leaveDevices();
  const { PATH } = process.env;
  t.teardown(() => (process.env['PATH'] = PATH));
  process.env['PATH'] = '';
  await t.rejects(removeVeth(PORT, 'queue'), { message: 'ip is not installed' });
});
