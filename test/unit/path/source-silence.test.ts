// SPDX-License-Identifier: Apache-2.0
// A source whose connection is there and that answers, while nothing comes of it any more.
import t from 'tap';
import { response } from '../../../src/control/rtsp/message.js';
import { fakeSource, type SourceOptions } from '../../fixtures/fake-source.js';
import { FakeWorld, NOTHING_LEFT, PROXY } from '../../fixtures/fake-world.js';

const HELD = { sourceHold: 20_000 };

/** A viewer of one track. After forget() each request on the source's present connection is a 454. */
async function watching(options: SourceOptions = {}, settings: object = HELD, track = 'v') {
  const forgotten = new WeakSet<object>();
  const script = fakeSource(options);
  const world = await FakeWorld.start({
    script: (request, link) => (forgotten.has(link) ? response(454) : script(request)),
    settings,
  });
  const viewer = world.viewer();
  const Transport = 'RTP/AVP;unicast;client_port=40000-40001';
  const setup = await viewer.ask('SETUP', `${PROXY}/x/${track}`, { Transport });
  const Session = setup.headers.get('Session')!.split(';')[0]!;
  await viewer.ask('PLAY', `${PROXY}/x/`, { Session });
  return {
    world,
    viewer,
    forget: () => void forgotten.add(world.source),
    /** Seconds in which the viewer lives, each with so many packets. */
    pass: async (seconds: number, packets = 0) => {
      for (let i = 0; i < seconds; i++) {
        world.streams[0]!.packets += packets;
        await world.advance(1000);
        if (i % 20 === 0) await viewer.ask('GET_PARAMETER', `${PROXY}/x/`, { Session });
      }
    },
    state: () => world.proxy.streams()[0]?.state,
  };
}

t.test(
  'the session is forgotten (454) and nothing comes: the source is asked anew, the viewer stays',
  async (t) => {
    const { world, viewer, forget, pass, state } = await watching();
    await pass(25, 1);
    forget();
    await pass(40);
    t.equal(world.sources.length, 2);
    t.equal(state(), 'playing');
    t.ok(viewer.open);
    await pass(100, 1);
    t.equal(world.sources.length, 2);
    await world.proxy.close();
  },
);

t.test('without being held the viewer is told', async (t) => {
  const { world, viewer, forget, pass } = await watching({}, {});
  await pass(25, 1);
  forget();
  await pass(40);
  t.notOk(viewer.open);
  await world.advance(3000);
  t.same(world.left, NOTHING_LEFT);
  await world.proxy.close();
});

t.test('a source that answers its keep-alive with 454 and plays on, now and then at least', async (t) => {
  const GET_PARAMETER = () => response(454);
  const { world, pass } = await watching({ answers: { GET_PARAMETER } });
  await pass(70, 1);
  for (let i = 0; i < 20; i++) {
    await pass(8);
    await pass(1, 1);
  }
  t.equal(world.sources.length, 1);
  await world.proxy.close();
});

t.test('pictures that came come no more, though the source answers: it is asked anew', async (t) => {
  const { world, viewer, pass, state } = await watching();
  await pass(10, 1);
  await pass(58);
  t.equal(world.sources.length, 1);
  await pass(5);
  t.equal(world.sources.length, 2);
  t.ok(
    world.sources[0]!.requests.some(({ method }) => method === 'TEARDOWN'),
    'its session is ended',
  );
  t.equal(state(), 'playing');
  t.ok(viewer.open);
  await pass(200);
  t.equal(world.sources.length, 2, 'once: of the new session nothing has come yet');
  await pass(10, 1);
  await pass(65);
  t.equal(world.sources.length, 3);
  await world.proxy.close();
});

t.test('silence that is none of ours to end', async (t) => {
  const metadata = ['m=application 0 RTP/AVP 107', 'a=control:m'];
  for (const [what, options, settings, track] of [
    ['events of metadata', { video: metadata }, HELD, 'm'],
    ['a viewer who could not be held', {}, {}, 'v'],
  ] as const) {
    const { world, viewer, pass } = await watching(options, settings, track);
    await pass(10, 1);
    await pass(200);
    t.equal(world.sources.length, 1, what);
    t.ok(viewer.open, what);
    await world.proxy.close();
  }
});
