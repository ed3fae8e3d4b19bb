// SPDX-License-Identifier: Apache-2.0
// A source that is lost behind viewers who stay, or that comes within its RTSP connection: stories with one in memory.
import t from 'tap';
import { parseConfig } from '../../../src/control/config/parse.js';
import { request, response, type RtspRequest } from '../../../src/control/rtsp/message.js';
import { fakeSource, type Script } from '../../fixtures/fake-source.js';
import { FakeWorld, NOTHING_LEFT, PROXY, SOURCE } from '../../fixtures/fake-world.js';

const HELD = { sourceHold: 20_000 };

async function watch(world: FakeWorld, track = 'v') {
  const viewer = world.viewer();
  const Transport = 'RTP/AVP;unicast;client_port=40000-40001';
  const setup = await viewer.ask('SETUP', `${PROXY}/x/${track}`, { Transport });
  const Session = setup.headers.get('Session')!.split(';')[0]!;
  const play = await viewer.ask('PLAY', `${PROXY}/x/`, { Session });
  return { viewer, Session, status: play.status };
}

const state = (world: FakeWorld) => world.proxy.streams()[0]?.state;

t.test('viewers are held, the source is asked again and again, and comes back', async (t) => {
  let dead = false;
  const script = fakeSource({ silent: true });
  const world = await FakeWorld.start({
    script: (request, link) => {
      if (dead) setImmediate(() => link.break('refused'));
      return dead ? undefined : script(request);
    },
    settings: HELD,
  });
  const { viewer, Session } = await watch(world);
  const before = world.streams[0]!.spec;
  dead = true;
  world.source.break();
  await world.settle();
  t.equal(state(world), 'reconnecting');
  t.equal(viewer.open, true);
  t.equal(world.streams[0]!.viewers.size, 1);
  t.equal((await viewer.ask('GET_PARAMETER', `${PROXY}/x/`, { Session })).status, 200);
  t.equal((await world.viewer().ask('DESCRIBE', `${PROXY}/x`)).status, 200, 'it is known what there was');
  await world.advance(5000);
  const tries = world.sources.length - 1;
  t.ok(tries >= 3 && tries <= 5, `back-off: ${tries} attempts in five seconds`);
  dead = false;
  await world.advance(8000);
  t.equal(state(world), 'playing');
  t.strictSame(
    world.source.requests.slice(0, 3).map(({ method, uri }) => `${method} ${uri}`),
    [`DESCRIBE ${SOURCE}/x`, `SETUP ${SOURCE}/x/v`, `PLAY ${SOURCE}/x/`],
  );
  const { spec } = world.streams[0]!;
  t.not(spec.upstream, before.upstream, 'ports that the former source does not know');
  t.equal(spec.downstream.rtpPort, before.downstream.rtpPort);
  t.equal(world.streams.length, 1, 'the stream is the same');
  t.equal(world.streams[0]!.viewers.size, 1);
  t.equal((await viewer.ask('TEARDOWN', `${PROXY}/x/`, { Session })).status, 200);
  await world.advance(1000);
  t.same(world.left, { ...NOTHING_LEFT, sources: 0 });
  t.equal(world.asked.at(-1), 'TEARDOWN');
  await world.proxy.close();
});

t.test('when they have waited long enough they are ended', async (t) => {
  let dead = false;
  const script = fakeSource();
  const world = await FakeWorld.start({
    script: (request) => (dead ? response(404) : script(request)),
    settings: { sourceHold: 3000 },
  });
  const { viewer } = await watch(world);
  dead = true;
  world.source.break();
  await world.advance(2900);
  t.equal(viewer.open, true);
  await world.advance(4000);
  t.equal(viewer.open, false);
  await world.advance(3000);
  t.same(world.left, NOTHING_LEFT);
  await world.proxy.close();
});

t.test('the last viewer that leaves ends the asking', async (t) => {
  let dead = false;
  const script = fakeSource();
  const world = await FakeWorld.start({ script: (r) => (dead ? undefined : script(r)), settings: HELD });
  const { viewer, Session } = await watch(world);
  dead = true;
  world.source.break();
  await world.advance(700); // an attempt is under way
  await viewer.ask('TEARDOWN', `${PROXY}/x/`, { Session });
  await world.advance(12_000);
  t.same(world.left, NOTHING_LEFT);
  t.equal(world.sources.length, 2);
  await world.proxy.close();
});

t.test('other tracks than before, or refused credentials: ended at once', async (t) => {
  const cases: [name: string, script: Script][] = [
    ['another payload type', fakeSource({ answers: { DESCRIBE: (request) => described(request, '97') } })],
    ['401', () => response(401)],
  ];
  for (const [name, changed] of cases) {
    let script = fakeSource();
    const world = await FakeWorld.start({ script: (request) => script(request), settings: HELD });
    const { viewer } = await watch(world);
    script = changed;
    world.source.break();
    await world.advance(1500);
    t.equal(viewer.open, false, name);
    await world.advance(3000);
    t.same(world.left, NOTHING_LEFT, name);
    await world.proxy.close();
  }
});

t.test('fallbacks are asked in turn: at the beginning, and behind viewers who stay', async (t) => {
  const there = new Set(['b.example', 'c.example']);
  const script = fakeSource();
  const parsed = parseConfig(
    [
      'paths:',
      '  x:',
      '    source: rtsp://a.example/x',
      '    sourceHold: 20s',
      '    fallbacks: ["rtsp://user:secret@b.example/x", rtsp://c.example/x]',
    ].join('\n'),
  );
  if (!('table' in parsed)) throw new Error(JSON.stringify(parsed));
  const world = await FakeWorld.start({
    paths: parsed.table,
    script: (request, link) => {
      const [, host = ''] = /^rtsp:\/\/([^/:]+)/.exec(request.uri) ?? [];
      if (there.has(host)) return script(request);
      setImmediate(() => link.break('refused'));
      return undefined;
    },
  });
  const { viewer, status } = await watch(world);
  t.equal(status, 200, 'the first is not there, the second is');
  t.match(
    world.source.requests[0]!.uri,
    /^rtsp:\/\/b\.example\/x/,
    'and is told no name and password in its URL',
  );
  there.delete('b.example');
  world.source.break();
  await world.advance(1500);
  t.equal(state(world), 'playing', 'without waiting for one that has gone');
  t.match(world.source.requests[0]!.uri, /^rtsp:\/\/c\.example\/x/);
  t.equal(viewer.open, true);
  const playing = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1000) {
      world.streams[0]!.packets++;
      await world.advance(1000);
    }
  };
  await playing(16_000);
  there.clear();
  world.source.break();
  await world.advance(3000);
  t.equal(state(world), 'reconnecting');
  there.add('a.example');
  await playing(9000);
  t.equal(state(world), 'playing', 'all are asked again');
  t.match(world.source.requests[0]!.uri, /^rtsp:\/\/a\.example\/x/);
  await viewer.close();
  await world.advance(5000);
  t.same(world.left, NOTHING_LEFT);
  there.clear();
  t.ok((await world.viewer().ask('DESCRIBE', `${PROXY}/x`)).status >= 500, 'nobody is there');
  await world.advance(5000);
  t.same(world.left, NOTHING_LEFT);
  await world.proxy.close();
});

function described({ uri }: RtspRequest, payloadType: string) {
  const lines = [
    'v=0',
    's=-',
    `m=video 0 RTP/AVP ${payloadType}`,
    `a=rtpmap:${payloadType} H264/90000`,
    'a=control:v',
    '',
  ];
  const headers = [
    ['Content-Type', 'application/sdp'],
    ['Content-Base', `${uri}/`],
  ] as const;
  return response(200, headers, Buffer.from(lines.join('\r\n')));
}

/** Takes only what `takes` likes. */
function choosy(takes: (transport: string) => boolean) {
  const script = fakeSource();
  return (request: RtspRequest) => {
    const transport = request.headers.get('Transport');
    return transport !== undefined && !takes(transport) ? response(461) : script(request);
  };
}

const offers = (world: FakeWorld) =>
  world.sources.flatMap(({ requests }) => requests.flatMap(({ headers }) => headers.get('Transport') ?? []));

t.test('auto: 461 to UDP leads to TCP, for all tracks; frames go through ports of ours', async (t) => {
  const script = choosy((transport) => transport.startsWith('RTP/AVP/TCP'));
  const world = await FakeWorld.start({ script, settings: { sourceTransport: 'auto' } });
  const { status, viewer, Session } = await watch(world);
  t.equal(status, 200);
  const Transport = 'RTP/AVP;unicast;client_port=40002-40003';
  t.equal((await viewer.ask('SETUP', `${PROXY}/x/a`, { Transport, Session })).status, 200);
  t.strictSame(offers(world).slice(1), [
    'RTP/AVP/TCP;unicast;interleaved=0-1',
    'RTP/AVP/TCP;unicast;interleaved=2-3',
  ]);
  const { spec } = world.streams[0]!;
  const feeder = world.pairs.find(({ rtpPort }) => rtpPort === spec.source.rtpPort)!;
  t.match(spec, { localAddress: '127.0.0.1', source: { address: '127.0.0.1', rtcpPort: feeder.rtcpPort } });
  const report = Buffer.from('a report');
  feeder.receiveRtcp(report, { address: '127.0.0.1', port: 1 });
  feeder.receiveRtcp(report, { address: '203.0.113.1', port: spec.upstream.rtcpPort });
  t.strictSame(world.source.frames, [], 'not from strangers');
  feeder.receiveRtcp(report, { address: '127.0.0.1', port: spec.upstream.rtcpPort });
  t.strictSame(world.source.frames, [{ channel: 1, payload: report }]);
  world.source.events.frame(1, report);
  world.source.events.frame(77, report);
  const to = { address: '127.0.0.1', port: spec.upstream.rtcpPort };
  t.strictSame(feeder.sent, [{ packet: report, to }]);
  world.source.break();
  await world.advance(1000);
  t.same(world.left, NOTHING_LEFT);
  await world.proxy.close();
});

t.test('tcp: nothing else is asked for; udp: nothing else is taken', async (t) => {
  const cases = [
    ['tcp', 'RTP/AVP;', 461, 1],
    ['udp', 'RTP/AVP/TCP', 461, 2], // unicast and multicast
  ] as const;
  for (const [sourceTransport, liked, wanted, asked] of cases) {
    const script = choosy((transport) => transport.startsWith(liked));
    const world = await FakeWorld.start({ script, settings: { sourceTransport } });
    const Transport = 'RTP/AVP;unicast;client_port=40000-40001';
    const { status } = await world.viewer().ask('SETUP', `${PROXY}/x/v`, { Transport });
    t.equal(status, wanted, sourceTransport);
    t.equal(offers(world).length, asked, sourceTransport);
    await world.advance(20_000);
    t.same(world.left, NOTHING_LEFT, sourceTransport);
    await world.proxy.close();
  }
});

t.test('auto: nothing comes by UDP, so it is asked for TCP; the viewer stays', async (t) => {
  const world = await FakeWorld.start({
    script: fakeSource({ silent: true }),
    settings: { sourceTransport: 'auto' },
  });
  const { viewer } = await watch(world);
  await world.advance(3900);
  t.equal(world.sources.length, 1);
  await world.advance(1500);
  t.equal(world.sources.length, 2);
  t.equal(offers(world).at(-1), 'RTP/AVP/TCP;unicast;interleaved=0-1');
  t.ok(
    world.sources[0]!.requests.some(({ method }) => method === 'TEARDOWN'),
    'the first session is ended',
  );
  t.match(world.streams[0]!.spec, { source: { address: '127.0.0.1' } });
  t.equal(viewer.open, true);
  t.equal(state(world), 'playing');
  await world.advance(10_000);
  t.equal(world.sources.length, 2, 'once');
  await world.proxy.close();
  t.same(world.left.pairs, 0);
});

t.test(
  'a source that sends us elsewhere is followed, five times; name and password are not told there',
  async (t) => {
    const script = fakeSource({ silent: true });
    const at = (host: string) => `rtsp://${host}/x`;
    const next: Record<string, string> = {
      'source.example': 'second.example',
      'second.example': 'third.example',
    };
    const world = await FakeWorld.start({
      script: (request) => {
        const host = new URL(request.uri).hostname;
        if (request.method !== 'DESCRIBE' || !next[host]) return script(request);
        return response(302, [['Location', at(next[host])]]);
      },
      settings: HELD,
    });
    const { viewer, status } = await watch(world);
    t.equal(status, 200);
    t.strictSame(
      world.sources.map(({ requests }) => requests.map(({ method, uri }) => `${method} ${uri}`)),
      [
        ['DESCRIBE rtsp://source.example/x'],
        ['DESCRIBE rtsp://second.example/x'],
        ['DESCRIBE rtsp://third.example/x', 'SETUP rtsp://third.example/x/v', 'PLAY rtsp://third.example/x/'],
      ],
    );
    // REDIRECT while it plays (RFC 2326 10.10)
    world.source.receive(
      request('REDIRECT', at('third.example'), [
        ['CSeq', '9'],
        ['Location', at('fourth.example')],
      ]),
    );
    t.match(world.source.answers[0], { status: 200 });
    await world.advance(1000);
    t.equal(state(world), 'playing');
    t.equal(world.source.requests[0]!.uri, at('fourth.example'));
    t.equal(viewer.open, true);
    await world.proxy.close();

    const round = await FakeWorld.start({
      script: ({ uri }) => response(301, [['Location', uri.replace(/rtsp:\/\/\w+/, '$&x')]]),
    });
    t.equal((await round.viewer().ask('DESCRIBE', `${PROXY}/x`)).status, 502);
    t.equal(round.asked.length, 6);
    await round.proxy.close();
  },
);

t.test(
  'many sources at once: a few connections are opened at a time, and slow ones do not keep the others',
  async (t) => {
    let slow = true;
    const script = fakeSource();
    const world = await FakeWorld.start({
      script: (request) => (slow && /slow/.test(request.uri) ? undefined : script(request)),
      limits: { startsAtOnce: 4, startMs: 2000, requestMs: 3000, connectionsPerAddress: 1000 },
    });
    const ask = (query: string) => world.viewer().ask('DESCRIBE', `${PROXY}/x?${query}`);
    const dead = Array.from({ length: 8 }, (_, i) => ask(`slow${i}`));
    const well = Array.from({ length: 192 }, (_, i) => ask(`${i}`));
    await world.settle();
    t.equal(world.sources.length, 4);
    await world.advance(6000);
    t.same(
      new Set((await Promise.all(well)).map(({ status }) => status)),
      new Set([200]),
      'nobody was timed out by waiting',
    );
    t.same(new Set((await Promise.all(dead)).map(({ status }) => status)), new Set([504]));
    slow = false;
    await world.advance(15_000);
    t.same(world.left, NOTHING_LEFT);
    await world.proxy.close();
  },
);
