// SPDX-License-Identifier: Apache-2.0
// A fault of the program under a playing viewer: with a keeper the next process goes on with it.
import t from 'tap';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { goesOnAfterFault } from '../../../src/control/hold/fault.js';
import { holderIn } from '../../../src/control/hold/manager.js';
import { Child } from '../../../tools/netns/child.js';
import { temporaryFolder } from '../../../tools/netns/temporary-folder.js';
import { FakeServer } from '../../fixtures/fake-server.js';
import { until, Viewer } from '../../fixtures/loopback.js';
import { freePort } from '../../netns/product.js';

/** SIGWINCH, of which the program knows nothing, is a fault of it. */
const FAULTY = `--import data:text/javascript,${encodeURIComponent(
  "process.on('SIGWINCH', () => { throw new Error('not foreseen'); })",
)}`;

/** The proxy and, where it keeps itself, its keeper. */
async function start(source: string, more: readonly string[]) {
  const port = await freePort();
  const socket = join(temporaryFolder(), 'api.sock');
  const child = await Child.start(
    'bin/rtsp-fanout',
    [
      ...['--listen', `127.0.0.1:${port}`, '--datapath', 'userspace', '--api-socket', socket],
      ...['--key-frame-wait', '0', '--picture-cache', '0', '--source-transport', 'udp'],
      ...[...more, source],
    ],
    { env: { NODE_OPTIONS: FAULTY } },
  );
  await until(() => existsSync(socket));
  return { child, port };
}

const childOf = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0] || 0);

t.test('kept: the viewer plays on, in the same sessions, fault after fault', async (t) => {
  const server = await FakeServer.start();
  const { child, port } = await start(`rtsp://127.0.0.1:${server.port}/x`, ['--keep']);
  const viewer = await Viewer.join(port);
  const { play, session } = await viewer.play();
  t.equal(play.status, 200);
  for (const fault of [1, 2]) {
    const victim = childOf(child.pid);
    process.kill(victim, 'SIGWINCH');
    await until(() => ![0, victim].includes(childOf(child.pid)));
    const alive = await viewer.ask('GET_PARAMETER', viewer.url, { Session: session });
    t.equal(alive.status, 200, `fault ${fault}`);
    const before = viewer.numbers.length;
    server.sendRtp(20);
    await until(() => viewer.numbers.length === before + 20);
  }
  t.match(child.stderr, /a fault of this program .*not foreseen/);
  t.equal(viewer.rtcp.length, 0, 'nobody has said BYE');
  t.notOk(server.methods.includes('TEARDOWN'));
  t.equal(server.connections.size, 1);
  t.same(await child.stop('SIGTERM'), { code: 0, signal: null });
  t.equal(server.methods.at(-1), 'TEARDOWN');
  viewer.leave();
  await server.close();
});

t.test('not kept: viewer and source are told', async (t) => {
  const server = await FakeServer.start();
  const { child, port } = await start(`rtsp://127.0.0.1:${server.port}/x`, []);
  const viewer = await Viewer.join(port);
  await viewer.play();
  process.kill(child.pid, 'SIGWINCH');
  t.same(await child.exited, { code: 1, signal: null });
  await until(() => viewer.rtcp.length === 1 && viewer.closed);
  t.equal(server.methods.at(-1), 'TEARDOWN');
  viewer.leave();
  await server.close();
});

t.test('systemd does not drop what was handed over: who fails again at once, closes it', async (t) => {
  const systemd = { NOTIFY_SOCKET: '/run/x', FDSTORE: '10' };
  t.equal(holderIn(systemd), 'systemd');
  t.equal(holderIn({ ...systemd, FDSTORE: '0' }), undefined);
  t.ok(goesOnAfterFault('systemd', 60_000));
  t.notOk(goesOnAfterFault('systemd', 500));
  t.ok(goesOnAfterFault('keeper', 500), 'the keeper has a rule for that');
  t.notOk(goesOnAfterFault(undefined, 60_000));
});
