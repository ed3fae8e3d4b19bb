// SPDX-License-Identifier: Apache-2.0
// A service of systemd's Type=notify: it is told when the proxy serves and when it ends, whether or not it keeps
// descriptors. A socket that somebody else's code has bound stands for it.
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Child } from '../../tools/netns/child.js';
import { canRun } from '../../tools/netns/probe.js';
import { freePort, Product, temporaryFolder } from './product.js';

t.setTimeout(60_000);

const RECEIVER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1])
print('bound', flush=True)
while True: print('told', repr(s.recv(4096).decode()), flush=True)
`;

async function startedAndEnded(t: Test, ...more: string[]): Promise<void> {
  const socket = join(temporaryFolder(), 'notify');
  const systemd = await Child.start('python3', ['-c', RECEIVER, socket]);
  await systemd.output(/bound/);
  const env = { NOTIFY_SOCKET: socket };
  const place = { source: 'rtsp://127.0.0.1:1/x', host: '127.0.0.1', port: await freePort() };
  const product = await Product.start({ engine: 'userspace', ...place, env, more });
  try {
    await systemd.output(/told 'READY=1'/);
    t.notMatch(systemd.stdout, /STOPPING/);
    await product.stop();
    await systemd.output(/told 'STOPPING=1'/);
    t.notMatch(systemd.stdout, /FDSTORE/, 'it keeps nothing, so it is given nothing');
    t.equal(systemd.stdout.match(/told/g)!.length, 2);
  } finally {
    await product.child.stop('SIGKILL');
    await systemd.stop('SIGKILL');
  }
}

const skip = canRun('python3', ['--version']) ?? false;

t.test('NOTIFY_SOCKET without FDSTORE', { skip }, async (t) => startedAndEnded(t));

t.test('with --keep it is the keeper that tells, for it is whom systemd knows', { skip }, async (t) =>
  startedAndEnded(t, '--keep'),
);

t.test('a socket that nobody has bound is told in the log, and no reason not to serve', async (t) => {
  const env = { NOTIFY_SOCKET: join(temporaryFolder(), 'nobody') };
  const place = { source: 'rtsp://127.0.0.1:1/x', host: '127.0.0.1', port: await freePort() };
  const product = await Product.start({ engine: 'userspace', ...place, env });
  t.match(product.child.stderr, /who started us does not hear how we are/);
  await product.stop();
});
