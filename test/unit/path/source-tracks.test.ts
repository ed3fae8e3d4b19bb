// SPDX-License-Identifier: Apache-2.0
// Which tracks are set up at the source, when, and under which of the names that the source has for them.
import t from 'tap';
import { parseConfig } from '../../../src/control/config/parse.js';
import { buildGoodbye } from '../../../src/control/rtcp/build.js';
import { response, type RtspRequest } from '../../../src/control/rtsp/message.js';
import { describe, fakeSource, type Script } from '../../fixtures/fake-source.js';
import type { FakeSourceLink } from '../../fixtures/fake-source-link.js';
import { FakeWorld, NOTHING_LEFT, PROXY, type FakeLink, type FakePair } from '../../fixtures/fake-world.js';

const HELD = { sourceHold: 20_000 };
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

/** As mediamtx: a SETUP while it plays is answered with 400, and is the end of the connection. */
function strict(script: Script) {
  const playing = new Set<FakeSourceLink>();
  return (request: RtspRequest, link: FakeSourceLink) => {
    if (request.method === 'PLAY') playing.add(link);
    if (request.method !== 'SETUP' || !playing.has(link)) return script(request);
    setImmediate(() => link.break('must not be set up while it plays'));
    return response(400);
  };
}

t.test('one who wants a track more than those who watch disturbs nobody (mediamtx)', async (t) => {
  for (const recorded of [false, true]) {
    const world = await FakeWorld.start({ script: strict(fakeSource({ recorded })), settings: HELD });
    const first = await watch(world, 'v');
    t.same(asked(world), ['DESCRIBE /x', 'SETUP /x/v', 'SETUP /x/a', 'PLAY /x/']);
    t.same(
      world.streams.map(({ viewers }) => viewers.size),
      [1, 0],
      'nobody gets what it has not asked for',
    );
    const second = await watch(world, 'v', 'a');
    t.same([...second.refused, second.play], [200]);
    t.equal(world.sources.length, 1);
    t.same([first.viewer.open, second.viewer.open], [true, true]);
    first.viewer.close();
    second.viewer.close();
    await world.advance(2000);
    t.same(world.left, NOTHING_LEFT);
    await world.proxy.close();
  }
});

t.test(
  'what the source refuses beyond what was asked for hurts nobody, and is not asked for again',
  async (t) => {
    for (const status of [404, 461, 403, 500]) {
      const usual = fakeSource();
      const script: Script = (request) =>
        request.method === 'SETUP' && request.uri.endsWith('/a') ? response(status) : usual(request);
      const world = await FakeWorld.start({ script: strict(script), settings: HELD });
      const first = await watch(world, 'v');
      t.equal(first.play, 200);
      const before = world.source.requests.length;
      const second = await watch(world, 'v', 'a');
      t.same(
        [...second.refused, second.play],
        [status, 200],
        `${status}: with sound it is told, and sees the picture`,
      );
      t.same(asked(world).slice(before), ['DESCRIBE /x'], `${status}`);
      t.equal(world.sources.length, 1);
      t.match(world.proxy.streams(), [{ viewers: 2, state: 'playing' }]);
      await world.proxy.close();
      t.same({ ...world.left, deadlines: 0 }, NOTHING_LEFT);
    }
  },
);

/** A description of those sections, each with its number as its URL. */
function sections(...media: readonly string[][]): Script {
  const lines = media.flatMap(([line, ...more], i) => [`m=${line}`, ...more, `a=control:${i}`]);
  const body = Buffer.from(['v=0', 's=-', ...lines, ''].join('\r\n'));
  return ({ uri }) =>
    response(
      200,
      [
        ['Content-Type', 'application/sdp'],
        ['Content-Base', `${uri}/`],
      ],
      body,
    );
}

const VIDEO = 'video 0 RTP/AVP 96';
const AUDIO = 'audio 0 RTP/AVP 0';

t.test('set up are the sections that viewers may come to want', async (t) => {
  const metadata = 'application 0 RTP/AVP 107';
  const cases: [what: string, media: string[][], setUp: string[]][] = [
    ['picture, sound and metadata', [[VIDEO], [AUDIO, 'a=recvonly'], [metadata]], ['0', '1', '2']],
    ["ONVIF's back channel", [[VIDEO, 'a=recvonly'], [AUDIO], [AUDIO, 'a=sendonly']], ['0', '1']],
    ['one that is off', [[VIDEO], [AUDIO, 'a=inactive']], ['0']],
    [
      'who says of itself that it sends',
      [
        [VIDEO, 'a=sendonly'],
        [AUDIO, 'a=sendonly'],
      ],
      ['0', '1'],
    ],
    ['other kinds, other profiles', [[VIDEO], ['text 0 RTP/AVP 98'], ['audio 0 RTP/SAVP 0']], ['0']],
  ];
  for (const [what, media, expected] of cases) {
    const world = await FakeWorld.start({
      script: fakeSource({ answers: { DESCRIBE: sections(...media) } }),
    });
    t.equal((await watch(world, '0')).play, 200, what);
    t.same(
      asked(world).filter((text) => text.startsWith('SETUP')),
      expected.map((control) => `SETUP /x/${control}`),
      what,
    );
    const late = await watch(world, '0', `${media.length - 1}`);
    t.same(late.refused, expected.includes(`${media.length - 1}`) ? [] : [503], `${what}: late`);
    t.equal(late.play, 200);
    await world.proxy.close();
  }
});

t.test('what nobody wants takes no room from what somebody wants', async (t) => {
  const many = sections([VIDEO], [AUDIO], [AUDIO], [AUDIO]);
  for (const [limits, tracks] of [
    [{ resources: 3 }, 3],
    [{ resources: 1 }, 2],
    [{ tracksPerResource: 1 }, 1],
  ] as const) {
    const world = await FakeWorld.start({ script: fakeSource({ answers: { DESCRIBE: many } }), limits });
    t.equal((await watch(world, '0')).play, 200);
    t.equal(world.left.streams, tracks);
    await world.proxy.close();
  }
});

t.test('within the RTSP connection: each has channels of its own', async (t) => {
  const script = strict(fakeSource());
  const world = await FakeWorld.start({ script, settings: { ...HELD, sourceTransport: 'tcp' } });
  t.equal((await watch(world, 'v')).play, 200);
  t.same(
    world.source.requests.flatMap(({ headers }) => headers.get('Transport') ?? []),
    ['RTP/AVP/TCP;unicast;interleaved=0-1', 'RTP/AVP/TCP;unicast;interleaved=2-3'],
  );
  const { refused, play } = await watch(world, 'a');
  t.same([...refused, play], [200]);
  await world.proxy.close();
});

t.test('the end of what is watched is the end, whatever else the source sends', async (t) => {
  const world = await FakeWorld.start({ script: fakeSource({ recorded: true }) });
  await watch(world, 'v');
  const [video] = world.streams.map(({ spec }) => spec.upstream as FakePair);
  video!.receiveRtcp(buildGoodbye(1, 'clip'), { address: '192.0.2.1', port: 6001 });
  await world.advance(4000, 500);
  t.match(world.proxy.streams(), [{ state: 'ready' }]);
  await world.proxy.close();
});

t.test('a source that comes back without a track that nobody watches is back', async (t) => {
  for (const gone of ['not described', 'refused'] as const) {
    let before = true;
    const usual = fakeSource();
    const silent = fakeSource({ silent: true });
    const world = await FakeWorld.start({
      script: (request) => {
        if (before) return usual(request);
        if (gone === 'not described') return silent(request);
        return request.method === 'SETUP' && request.uri.endsWith('/a') ? response(404) : usual(request);
      },
      settings: HELD,
    });
    const { viewer } = await watch(world, 'v');
    before = false;
    world.source.break();
    await world.advance(2000);
    t.match(world.proxy.streams(), [{ state: 'playing', viewers: 1, tracks: [{ media: 'video' }] }], gone);
    t.equal(viewer.open, true);
    t.equal(world.left.streams, 1);
    viewer.close();
    await world.advance(2000);
    t.same(world.left, NOTHING_LEFT);
    await world.proxy.close();
  }
});

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
