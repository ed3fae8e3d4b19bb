// SPDX-License-Identifier: Apache-2.0
// A source that comes back again and again and does not stay: how often it is asked, and how long its viewers wait.
import t from 'tap';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, NOTHING_LEFT, PROXY } from '../../fixtures/fake-world.js';

async function watch(world: FakeWorld) {
  const viewer = world.viewer();
  const Transport = 'RTP/AVP;unicast;client_port=40000-40001';
  const setup = await viewer.ask('SETUP', `${PROXY}/x/v`, { Transport });
  const Session = setup.headers.get('Session')!.split(';')[0]!;
  await viewer.ask('PLAY', `${PROXY}/x/`, { Session });
  return { viewer, Session };
}

const state = (world: FakeWorld) => world.proxy.streams()[0]?.state;

t.test(
  'who agrees to PLAY and hangs up is asked less and less often, and viewers do not wait for ever',
  async (t) => {
    let hangsUp = false;
    const script = fakeSource();
    const world = await FakeWorld.start({
      script: (request, link) => {
        if (hangsUp && request.method === 'PLAY') setImmediate(() => setImmediate(() => link.break('bye')));
        return script(request);
      },
      settings: { sourceHold: 30_000 },
      limits: { retryMs: 4000 },
    });
    const { viewer } = await watch(world);
    world.streams[0]!.packets++;
    hangsUp = true;
    world.source.break();
    await world.advance(25_000);
    const tries = world.sources.length - 1;
    t.ok(tries >= 7 && tries <= 14, `${tries} attempts in 25 seconds`);
    t.ok(viewer.open);
    await world.advance(10_000);
    t.notOk(viewer.open, 'held as long as if the source were dead');
    await world.advance(3000);
    t.same(world.left, NOTHING_LEFT);
    await world.proxy.close();
  },
);

t.test(
  'a source that sends something each time holds its viewers, and its back-off; one that lasts, neither',
  async (t) => {
    const world = await FakeWorld.start({
      script: fakeSource(),
      settings: { sourceHold: 10_000 },
      limits: { retryMs: 4000 },
    });
    const { viewer, Session } = await watch(world);
    const loseAfter = async (ms: number) => {
      world.streams[0]!.packets++;
      await world.advance(ms);
      await viewer.ask('GET_PARAMETER', `${PROXY}/x/`, { Session });
      world.source.break();
      for (let waited = 0; waited < 10_000; waited += 100) {
        if (state(world) === 'playing') return waited;
        await world.advance(100);
      }
      throw new Error('it does not come back');
    };
    t.ok((await loseAfter(1000)) <= 600);
    for (let i = 0; i < 8; i++) await loseAfter(1000);
    t.ok((await loseAfter(1000)) >= 2000, 'long waits');
    t.ok((await loseAfter(5000)) <= 600, 'short ones again');
    t.ok(viewer.open);
    await world.proxy.close();
  },
);
