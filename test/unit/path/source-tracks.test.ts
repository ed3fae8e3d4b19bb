// SPDX-License-Identifier: Apache-2.0
// Which tracks are set up at the source, when, and under which of the names that the source has for them.
import t from 'tap';
import { parseConfig } from '../../../src/control/config/parse.js';
import type { RtspRequest } from '../../../src/control/rtsp/message.js';
import { describe, fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, NOTHING_LEFT, PROXY, type FakeLink } from '../../fixtures/fake-world.js';

const status = async (asked: ReturnType<FakeLink['ask']>) => (await asked).status;

/** DESCRIBE, SETUP of some tracks, PLAY: a session, or who refused what. */
async function watch(world: FakeWorld, ...tracks: string[]) {
  const viewer = world.viewer();
  await viewer.ask('DESCRIBE', `${PROXY}/x`);
  let Session: string | undefined;
  const refused: number[] = [];
  for (const [i, track] of tracks.entries()) {
    const Transport = `RTP/AVP;unicast;client_port=${40_000 + 2 * i}-${40_001 + 2 * i}`;
    const answer = await viewer.ask('SETUP', `${PROXY}/x/${track}`, { Transport, Session });
    if (answer.status !== 200) refused.push(answer.status);
    Session ??= answer.headers.get('Session')?.split(';')[0];
  }
  return { viewer, refused, play: await status(viewer.ask('PLAY', `${PROXY}/x/`, { Session })) };
}

/** What was asked of the source's newest connection. */
const asked = (world: FakeWorld) =>
  world.source.requests.map(({ method, uri }) => `${method} ${uri.replace(/^rtsp:\/\/[^/]+/, '')}`);

t.test('another source, or new control URLs: newcomers join the tracks that there are', async (t) => {
  const script = fakeSource();
  const there = new Set(['a.example', 'b.example']);
  const parsed = parseConfig(
    [
      ...['paths:', '  x:', '    source: rtsp://a.example/x', '    fallbacks: [rtsp://b.example/x]'],
      ...['    sourceHold: 20s', '    sourceTransport: udp'],
    ].join('\n'),
  );
  if (!('table' in parsed)) throw new Error(JSON.stringify(parsed));
  const world = await FakeWorld.start({
    paths: parsed.table,
    script: (request: RtspRequest, link) => {
      if (there.has(new URL(request.uri).hostname)) return script(request);
      setImmediate(() => link.break('refused'));
      return undefined;
    },
  });
  const viewers = [(await watch(world, 'v', 'a')).viewer];
  for (const [gone, back] of [
    ['a.example', 'b.example'],
    ['b.example', 'a.example'],
    ['a.example', 'b.example'],
  ] as const) {
    there.delete(gone);
    there.add(back);
    world.source.break();
    await world.advance(2000);
    const before = world.source.requests.length;
    const { viewer, refused, play } = await watch(world, 'v', 'a');
    t.same([...refused, play], [200]);
    t.same(asked(world).slice(before), ['DESCRIBE /x'], 'nothing is set up a second time');
    viewers.push(viewer);
    t.match(world.proxy.streams(), [{ state: 'playing', viewers: viewers.length }]);
    t.equal(world.left.streams, 2);
  }
  t.ok(
    viewers.every(({ open }) => open),
    'nobody was thrown out',
  );
  for (const viewer of viewers) viewer.close();
  await world.advance(3000);
  t.same(world.left, NOTHING_LEFT);
  await world.proxy.close();
});

t.test(
  'a source that names its tracks otherwise in each description: they are the same tracks',
  async (t) => {
    let times = 0;
    const DESCRIBE = ({ uri }: RtspRequest) => describe({}, `${uri}/token${++times}`);
    const world = await FakeWorld.start({ script: fakeSource({ answers: { DESCRIBE } }) });
    await watch(world, 'token1/v', 'token1/a');
    const before = world.source.requests.length;
    const { refused, play } = await watch(world, 'token2/v', 'token2/a');
    t.same([...refused, play], [200]);
    t.same(asked(world).slice(before), ['DESCRIBE /x']);
    t.equal(world.left.streams, 2);
    await world.proxy.close();
  },
);
