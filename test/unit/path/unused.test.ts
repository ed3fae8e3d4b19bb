// SPDX-License-Identifier: Apache-2.0
// What is asked for and not watched: how much of it one address may hold.
import t from 'tap';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, PROXY, type FakeLink } from '../../fixtures/fake-world.js';

t.test('who describes one thing after the other holds few connections to the source', async (t) => {
  const w = await FakeWorld.start({ script: fakeSource(), limits: { unusedPerAddress: 3 } });
  const [greedy, other] = [w.viewer(), w.viewer()];
  const status = async (viewer: FakeLink, path: string) =>
    (await viewer.ask('DESCRIBE', `${PROXY}/${path}`)).status;
  t.equal(await status(other, 'other'), 200);
  for (let i = 0; i < 20; i++) t.equal(await status(greedy, `x?${i}`), 200);
  await w.settle();
  t.equal(w.left.sources, 4);
  t.ok(w.sources[0]!.open, "another's is not touched");
  t.same(
    w.proxy.streams().map(({ path }) => path),
    ['/other', '/x?17', '/x?18', '/x?19'],
    'the oldest go',
  );
  const again = await greedy.ask('SETUP', `${PROXY}/x?3/v`, {
    Transport: 'RTP/AVP;unicast;client_port=40000-40001',
  });
  t.equal(again.status, 200, 'and can be had again');
  await w.advance(11_000, 1000);
  t.equal(w.left.resources, 1, 'the rest goes after a while');
  await w.proxy.close();
});

t.test(
  'who asks a source that does not answer for one thing after the other leaves half to others',
  async (t) => {
    const answers = fakeSource();
    let isSilent = true;
    const w = await FakeWorld.start({
      script: (request) => (isSilent ? undefined : answers(request)),
      limits: { resources: 8 },
    });
    const [greedy, other] = [w.viewer(), w.viewer()];
    const asked = Array.from({ length: 6 }, (_, i) => greedy.ask('DESCRIBE', `${PROXY}/x?${i}`));
    t.equal((await asked[4]!).status, 503);
    t.equal((await asked[5]!).status, 503);
    t.equal(w.left.resources, 4);
    isSilent = false;
    t.equal((await other.ask('DESCRIBE', `${PROXY}/other`)).status, 200);
    await w.advance(60_000, 1000);
    for (const answer of asked.slice(0, 4)) t.equal((await answer).status, 504);
    t.equal((await greedy.ask('DESCRIBE', `${PROXY}/x?6`)).status, 200, 'later it may again');
    await w.proxy.close();
  },
);
