// SPDX-License-Identifier: Apache-2.0
// What a path has sent since the start: viewers may go, what they got stays counted.
import t from 'tap';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld } from '../../fixtures/fake-world.js';
import { watch } from '../../fixtures/watching.js';

t.test('viewers who are there, and who have left', async (t) => {
  const w = await FakeWorld.start({ script: fakeSource() });
  const sent = () => w.proxy.paths().map(({ packets, bytes }) => [packets, bytes])[0];
  t.same(sent(), [0, 0]);
  const [one, two] = [w.viewer(), w.viewer()];
  await watch(one, 40_000);
  await watch(two, 41_000);
  const stream = w.streams[0]!;
  stream.sent = { packets: 3, bytes: 300, thinned: 0 };
  t.same(sent(), [6, 600]);
  one.close();
  await w.settle();
  t.same(sent(), [6, 600], 'one has left');
  stream.sent = { packets: 5, bytes: 500, thinned: 0 };
  t.same(sent(), [8, 800], 'the other goes on');
  two.close();
  await w.advance(60_000, 1000);
  t.same(sent(), [8, 800], 'the stream has ended');
  await w.proxy.close();
});
