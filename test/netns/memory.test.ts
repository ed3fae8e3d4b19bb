// SPDX-License-Identifier: Apache-2.0
// What viewers leave behind in the proxy when they have gone: nothing. A thousand come to a path that plays and go again,
// through real connections; a second thousand must not make it larger than the first has.
import t from 'tap';
import { pathToFileURL } from 'node:url';
import { Crowd } from '../../tools/load/crowd.js';
import { Child } from '../../tools/netns/child.js';
import { until } from '../../tools/netns/wait.js';
import type { Held } from '../fixtures/tell-memory.js';
import { compiled, freePort, temporaryFolder } from './product.js';

const VIEWERS = 1000;
/** Compiled code still grows by half of that; what a viewer has while it is there is several times as much. */
const MOST_BYTES = VIEWERS * 2048;

function crowd(url: string, viewers: number, low: number, stayMs?: number): Crowd {
  return new Crowd({
    ...{
      url,
      viewers,
      transport: 'udp',
      rate: 400,
      addresses: [],
      sections: 1,
      receive: false,
      reportMs: undefined,
    },
    ...{ ports: { low, high: 59_999 }, timeoutMs: 20_000, stayMs },
  });
}

async function comeAndGo(url: string): Promise<void> {
  const viewers = crowd(url, VIEWERS, 40_002, 0);
  await viewers.join();
  await viewers.leave();
  const { joined, failures } = viewers.summary();
  if (joined !== VIEWERS) throw new Error(`${joined} have joined: ${JSON.stringify(failures)}`);
}

async function held(proxy: Child): Promise<Held> {
  const before = proxy.stderr.length;
  proxy.write('\n');
  const text = await until(
    'what it holds',
    () => /^held (.*)$/m.exec(proxy.stderr.slice(before))?.[1],
    20_000,
  );
  return JSON.parse(text) as Held;
}

t.test('a thousand viewers that have gone leave no memory and no descriptor behind', async (t) => {
  const [cameraPort, port] = [await freePort(), await freePort()];
  const camera = await Child.start(process.execPath, [
    ...[compiled('tools/camera/main.js'), '--listen', `127.0.0.1:${cameraPort}`, '--json'],
  ]);
  t.teardown(() => camera.stop());
  await camera.output(/"listening"/);
  const proxy = await Child.start(process.execPath, [
    ...['--expose-gc', '--import', pathToFileURL(compiled('test/fixtures/tell-memory.js')).href],
    ...[compiled('src/control/main.js'), '--listen', `127.0.0.1:${port}`, '--datapath', 'userspace'],
    ...['--api-socket', `${temporaryFolder()}/api.sock`, '--log-level', 'warn'],
    `rtsp://127.0.0.1:${cameraPort}/camera`,
  ]);
  t.teardown(() => proxy.stop());
  await proxy.output(/^ *datapath /m, 30_000);
  const url = `rtsp://127.0.0.1:${port}/camera`;
  const steady = crowd(url, 1, 40_000);
  await steady.join();
  t.equal(steady.summary().joined, 1);
  const atFirst = await held(proxy);
  await comeAndGo(url); // code is compiled, tables take their size
  const first = await held(proxy);
  await comeAndGo(url);
  const second = await until('the descriptors to be closed', async () => {
    const now = await held(proxy);
    return now.descriptors <= atFirst.descriptors && now;
  });
  t.ok(second.heap - first.heap < MOST_BYTES, `${first.heap} bytes, then ${second.heap}`);
  t.comment(`heap ${atFirst.heap}, ${first.heap}, ${second.heap} bytes; ${second.descriptors} descriptors`);
  await steady.leave();
});
