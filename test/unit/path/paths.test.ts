// SPDX-License-Identifier: Apache-2.0
// The rows of `proxyctl paths` where the command line names one source: our root, and all else that its server has.
import t from 'tap';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, PROXY, SOURCE, type FakeLink } from '../../fixtures/fake-world.js';

const REST = { name: '*', path: '/*', source: `${SOURCE}/$path$query` };

async function watch(viewer: FakeLink, base: string): Promise<void> {
  const Transport = 'RTP/AVP;unicast;client_port=40000-40001';
  const { headers } = await viewer.ask('SETUP', `${base}v`, { Transport });
  await viewer.ask('PLAY', base, { Session: headers.get('Session')!.split(';')[0] });
}

t.test('a root that stands for a path has its source, and who watches that is counted there', async (t) => {
  const world = await FakeWorld.start({ script: fakeSource(), path: '/x' });
  const [rest, root] = [REST, { name: '', path: '/', source: `${SOURCE}/x` }];
  t.match(world.proxy.paths(), [
    { ...rest, streams: 0, viewers: 0 },
    { ...root, streams: 0, viewers: 0 },
  ]);
  const byRoot = world.viewer();
  const { headers } = await byRoot.ask('DESCRIBE', `${PROXY}/`);
  await watch(byRoot, headers.get('Content-Base')!);
  await watch(world.viewer(), `${PROXY}/x/`);
  await watch(world.viewer(), `${PROXY}/other/`);
  t.match(world.proxy.paths(), [
    { ...rest, streams: 1, viewers: 1 },
    { ...root, streams: 1, viewers: 2 },
  ]);
});

t.test('a root that stands for the root of the server', async (t) => {
  const world = await FakeWorld.start({ script: fakeSource(), path: '/' });
  await watch(world.viewer(), `${PROXY}/x/`);
  t.match(world.proxy.paths(), [
    { ...REST, streams: 1, viewers: 1 },
    { name: '', path: '/', source: `${SOURCE}/$query`, streams: 0, viewers: 0 },
  ]);
});
