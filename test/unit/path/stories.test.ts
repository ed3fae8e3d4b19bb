// SPDX-License-Identifier: Apache-2.0
// Story 1 with a source in memory: what reaches it, what viewers are answered, and that nothing is left behind.
import t from 'tap';
import { response } from '../../../src/control/rtsp/message.js';
import { parseRtpInfo } from '../../../src/control/rtsp/rtp-info.js';
import { parseTransport } from '../../../src/control/rtsp/transport.js';
import { fakeSource, SOURCE_SESSION } from '../../fixtures/fake-source.js';
import {
  FakeWorld,
  NOTHING_LEFT,
  PROXY,
  SOURCE,
  VIEWER_SIDE,
  type FakeLink,
} from '../../fixtures/fake-world.js';

const ports = (rtp: number) => `RTP/AVP;unicast;client_port=${rtp}-${rtp + 1}`;
const idOf = (headers: { get(name: string): string | undefined }) => headers.get('Session')!.split(';')[0]!;

/** SETUP of both tracks. */
async function setUpBoth(viewer: FakeLink, rtp = 40_000): Promise<string> {
  const video = await viewer.ask('SETUP', `${PROXY}/x/v`, { Transport: ports(rtp) });
  const session = idOf(video.headers);
  await viewer.ask('SETUP', `${PROXY}/x/a`, { Transport: ports(rtp + 2), Session: session });
  return session;
}

async function watch(viewer: FakeLink): Promise<string> {
  const Session = await setUpBoth(viewer);
  const { status } = await viewer.ask('PLAY', `${PROXY}/x/`, { Session });
  if (status !== 200) throw new Error(`PLAY: ${status}`);
  return Session;
}

t.test('one viewer, from OPTIONS to TEARDOWN', async (t) => {
  const world = await FakeWorld.start({ script: fakeSource() });
  const viewer = world.viewer();

  const options = await viewer.ask('OPTIONS', '*');
  t.equal(options.status, 200);
  t.match(options.headers.get('Public'), /DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER/);
  t.same(world.asked, [], 'OPTIONS is answered by the proxy');

  const described = await viewer.ask('DESCRIBE', `${PROXY}/x`, { CSeq: '77' });
  t.equal(described.headers.get('CSeq'), '77');
  t.equal(described.headers.get('Content-Base'), `${PROXY}/x/`);
  const sdp = described.body.toString();
  t.match(sdp, `a=control:${PROXY}/x/v\r\n`);
  t.match(sdp, 'a=control:a\r\n', 'relative ones stay');
  t.match(sdp, `o=- 7 1 IN IP4 ${VIEWER_SIDE}`);
  t.notMatch(sdp, /192\.0\.2\.1|source\.example/, 'nothing of the source shows');
  t.equal(world.source.requests[0]!.uri, `${SOURCE}/x`);

  const setup = await viewer.ask('SETUP', `${PROXY}/x/v`, { Transport: ports(40_000) });
  const [transport] = parseTransport(setup.headers.get('Transport')!);
  t.same(transport!.clientPort, { low: 40_000, high: 40_001 });
  t.same(transport!.serverPort, { low: 20_002, high: 20_003 }, 'the downstream pair');
  t.equal(transport!.ssrc, 0x00c0ffee);
  const asked = world.source.requests[1]!;
  t.equal(asked.uri, `${SOURCE}/x/v`);
  t.equal(asked.headers.get('Transport'), 'RTP/AVP;unicast;client_port=20000-20001', 'the upstream pair');
  t.not(idOf(setup.headers), SOURCE_SESSION);
  t.match(setup.headers.get('Session'), /^[0-9a-f]{16};timeout=60$/);
  const Session = idOf(setup.headers);
  await viewer.ask('SETUP', `${PROXY}/x/a`, { Transport: ports(40_002), Session });
  t.equal(world.source.requests[2]!.headers.get('Session'), SOURCE_SESSION);
  t.match(world.streams[0]!.spec, {
    source: { address: '192.0.2.1', rtpPort: 6000, rtcpPort: 6001 },
    clockRate: 90_000,
    localAddress: '192.0.2.2',
  });

  t.equal(world.streams[0]!.viewers.size, 0, 'no copies before PLAY');
  const play = await viewer.ask('PLAY', `${PROXY}/x/`, { Session, Range: 'npt=0.000-' });
  t.equal(play.status, 200);
  t.equal(world.source.requests[3]!.headers.get('Range'), 'npt=0.000-');
  t.same(parseRtpInfo(play.headers.get('RTP-Info')!), [
    { url: `${PROXY}/x/v`, seq: 100, rtptime: 9000 },
    { url: `${PROXY}/x/a`, seq: 200, rtptime: 800 },
  ]);
  const [copy] = world.streams[0]!.viewers.values();
  t.match(copy, { address: '203.0.113.1', rtpPort: 40_000, rtcpPort: 40_001, localAddress: VIEWER_SIDE });
  t.match(world.proxy.clients(), [
    { id: 1, state: 'playing', stream: '/x', tracks: [{ media: 'video' }, { media: 'audio' }] },
  ]);
  t.match(world.proxy.streams(), [{ path: '/x', state: 'playing', upstream: '192.0.2.1:554', viewers: 1 }]);

  for (const method of ['GET_PARAMETER', 'SET_PARAMETER'])
    t.equal((await viewer.ask(method, `${PROXY}/x/`, { Session })).status, 200);
  t.equal((await viewer.ask('TEARDOWN', `${PROXY}/x/`, { Session })).status, 200);
  await world.settle();
  t.same(world.asked, ['DESCRIBE', 'SETUP', 'SETUP', 'PLAY', 'TEARDOWN']);
  t.equal(world.source.requests[4]!.uri, `${SOURCE}/x/`);
  viewer.close();
  await world.settle();
  t.same(world.left, NOTHING_LEFT);
  await world.proxy.close();
});

t.test('viewers at once cost one DESCRIBE, one SETUP per track and one PLAY', async (t) => {
  const world = await FakeWorld.start({ script: fakeSource() });
  const viewers = [world.viewer(), world.viewer(), world.viewer()];
  const described = await Promise.all(
    viewers.map((v, i) => v.ask('DESCRIBE', `${PROXY}/x`, { CSeq: `${10 + i}` })),
  );
  t.same(
    described.map(({ headers }) => headers.get('CSeq')),
    ['10', '11', '12'],
    'each gets its own CSeq',
  );
  const sessions = await Promise.all(viewers.map((viewer) => setUpBoth(viewer)));
  t.equal(new Set(sessions).size, 3);
  const plays = await Promise.all(
    viewers.map((v, i) => v.ask('PLAY', `${PROXY}/x/`, { Session: sessions[i]!, Range: 'npt=0-' })),
  );
  t.same(
    plays.map(({ status }) => status),
    [200, 200, 200],
  );
  t.same(world.asked, ['DESCRIBE', 'SETUP', 'SETUP', 'PLAY']);
  t.notOk(world.source.requests[3]!.headers.has('Range'), 'a Range would be for all of them');
  t.equal(world.streams[0]!.viewers.size, 3);

  viewers[0]!.close();
  await viewers[1]!.ask('TEARDOWN', `${PROXY}/x/`, { Session: sessions[1]! });
  await world.settle();
  t.equal(world.streams[0]!.viewers.size, 1);
  t.equal(world.asked.at(-1), 'PLAY', 'the source has noticed nothing');
  viewers[2]!.close();
  await world.settle();
  t.equal(world.asked.at(-1), 'TEARDOWN');
  t.same(world.left, NOTHING_LEFT);
  await world.proxy.close();
});

t.test('a later viewer is answered from what arrives, and disturbs nobody', async (t) => {
  const world = await FakeWorld.start({ script: fakeSource({ recorded: true }) });
  await watch(world.viewer());
  const before = world.asked.length;
  await world.advance(2000);
  const [video, audio] = world.streams;
  const arrivalNs = world.nowNs;
  // Two seconds on, and the sequence number has wrapped.
  video!.received = {
    ssrc: 5,
    extendedMaxSeq: 0x1ffff,
    baseSeq: 100,
    received: 1,
    jitter: 0,
    timestamp: 9000 + 2 * 90_000,
    arrivalNs,
  };
  audio!.received = {
    ssrc: 6,
    extendedMaxSeq: 299,
    baseSeq: 200,
    received: 100,
    jitter: 0,
    timestamp: 16_800,
    arrivalNs,
  };
  const second = world.viewer();
  const Session = await setUpBoth(second);
  const play = await second.ask('PLAY', `${PROXY}/x/`, { Session, Range: 'npt=0.000-' });
  t.same(parseRtpInfo(play.headers.get('RTP-Info')!), [
    { url: `${PROXY}/x/v`, seq: 0, rtptime: 189_000 },
    { url: `${PROXY}/x/a`, seq: 300, rtptime: 16_800 },
  ]);
  t.equal(play.headers.get('Range'), 'npt=12.000-60.000', 'ten seconds as the source said, and two');
  const again = await second.ask('PLAY', `${PROXY}/x/`, { Session, Range: 'npt=0-' });
  t.equal(again.status, 200);
  t.same(world.asked.slice(before), ['OPTIONS'], 'only the keep-alive of the proxy itself');
  t.equal(video!.viewers.size, 2);
  await world.proxy.close();
});

t.test('a live source: later viewers are at "now"', async (t) => {
  const world = await FakeWorld.start({ script: fakeSource() });
  await watch(world.viewer());
  const second = world.viewer();
  const Session = await setUpBoth(second);
  const play = await second.ask('PLAY', `${PROXY}/x/`, { Session });
  t.equal(play.headers.get('Range'), 'npt=now-');
  t.match(
    parseRtpInfo(play.headers.get('RTP-Info')!)[0],
    { seq: 100 },
    'nothing has arrived yet: as announced',
  );
  await world.proxy.close();
});

t.test(
  'PAUSE reaches the source only for a viewer that is alone and where there is something to go back to',
  async (t) => {
    for (const { recorded, others, relayed } of [
      { recorded: true, others: 0, relayed: true },
      { recorded: true, others: 1, relayed: false },
      { recorded: false, others: 0, relayed: false },
    ]) {
      const world = await FakeWorld.start({ script: fakeSource({ recorded }) });
      for (let i = 0; i < others; i++) await watch(world.viewer());
      const viewer = world.viewer();
      const Session = await watch(viewer);
      t.equal((await viewer.ask('PAUSE', `${PROXY}/x/`, { Session })).status, 200);
      t.equal(world.streams[0]!.viewers.size, others);
      t.equal(world.asked.includes('PAUSE'), relayed);
      t.equal(world.proxy.clients().at(-1)!.state, 'paused');
      t.equal((await viewer.ask('PAUSE', `${PROXY}/x/`, { Session })).status, 455);
      t.equal((await viewer.ask('PLAY', `${PROXY}/x/`, { Session, Range: 'npt=5-' })).status, 200);
      t.equal(world.asked.filter((method) => method === 'PLAY').length, recorded ? 2 : 1);
      if (recorded) t.equal(world.source.requests.at(-1)!.headers.get('Range'), 'npt=5-', 'it may seek');
      t.equal(world.left.copies, 2 * (others + 1));
      await world.proxy.close();
      t.same({ ...world.left, deadlines: 0 }, NOTHING_LEFT);
    }
  },
);

t.test('tracks may be taken and left singly, and one more may be added while the source plays', async (t) => {
  const world = await FakeWorld.start({ script: fakeSource() });
  const first = world.viewer();
  const setup = await first.ask('SETUP', `${PROXY}/x/v`, { Transport: ports(40_000) });
  const one = idOf(setup.headers);
  t.equal((await first.ask('PLAY', `${PROXY}/x/v`, { Session: one })).status, 200, 'the URL of a sole track');
  const second = world.viewer();
  const Session = await setUpBoth(second);
  t.equal((await second.ask('PLAY', `${PROXY}/x/a`, { Session })).status, 460);
  t.equal((await second.ask('PLAY', `${PROXY}/x/`, { Session })).status, 200);
  t.same(world.asked, ['DESCRIBE', 'SETUP', 'SETUP', 'PLAY'], 'the source plays it already');
  t.equal((await second.ask('TEARDOWN', `${PROXY}/x/v`, { Session })).status, 200);
  t.same(
    world.streams.map(({ viewers }) => viewers.size),
    [1, 1],
  );
  t.equal((await second.ask('TEARDOWN', `${PROXY}/x/a`, { Session })).status, 200);
  t.equal(
    (await second.ask('PLAY', `${PROXY}/x/`, { Session })).status,
    454,
    'with its last track a session ends',
  );
  await world.proxy.close();
});

t.test('the root URL stands for the path of the command line', async (t) => {
  const world = await FakeWorld.start({ script: fakeSource(), path: '/x' });
  const viewer = world.viewer();
  const root = await viewer.ask('DESCRIBE', `${PROXY}/`);
  t.equal(root.headers.get('Content-Base'), `${PROXY}/x/`);
  await viewer.ask('DESCRIBE', `${PROXY}/x?a=1`);
  t.same(
    world.sources.map(({ requests }) => requests[0]!.uri),
    [`${SOURCE}/x`, `${SOURCE}/x?a=1`],
  );
  await world.proxy.close();
});

t.test('a redirect of the source is translated, one to elsewhere is not passed on', async (t) => {
  for (const { location, status, translated } of [
    { location: `${SOURCE}/y`, status: 302, translated: `${PROXY}/y` },
    { location: 'rtsp://other.example/y', status: 502, translated: undefined },
  ]) {
    const DESCRIBE = () => response(302, [['Location', location]]);
    const world = await FakeWorld.start({ script: fakeSource({ answers: { DESCRIBE } }) });
    const answer = await world.viewer().ask('DESCRIBE', `${PROXY}/x`);
    t.equal(answer.status, status);
    t.equal(answer.headers.get('Location'), translated);
    await world.proxy.close();
  }
});

t.test(
  'destination= is ignored, a missing RTCP port is the next one, the first usable alternative is taken',
  async (t) => {
    const world = await FakeWorld.start({ script: fakeSource() });
    const viewer = world.viewer();
    const Transport =
      'RTP/SAVP;unicast;client_port=6-7,RTP/AVP/UDP;unicast;destination=192.0.2.99;client_port=5000';
    const setup = await viewer.ask('SETUP', `${PROXY}/x/v`, { Transport });
    t.match(setup.headers.get('Transport'), /^RTP\/AVP;unicast;client_port=5000-5001;/);
    await viewer.ask('PLAY', `${PROXY}/x`, { Session: idOf(setup.headers) });
    t.match(
      [...world.streams[0]!.viewers.values()],
      [{ address: viewer.remote.address, rtpPort: 5000, rtcpPort: 5001 }],
    );
    await world.proxy.close();
  },
);

t.test('a source that describes no more while it plays: what it said before holds', async (t) => {
  const usual = fakeSource();
  let plays = false;
  const world = await FakeWorld.start({
    script: (request) => {
      plays ||= request.method === 'PLAY';
      return plays && request.method === 'DESCRIBE' ? response(503) : usual(request);
    },
  });
  await watch(world.viewer());
  const second = world.viewer();
  const described = await second.ask('DESCRIBE', `${PROXY}/x`);
  t.equal(described.status, 200);
  t.match(described.body.toString(), /m=video/);
  await watch(second);
  t.match(world.proxy.streams(), [{ viewers: 2, state: 'playing' }]);
  await world.proxy.close();
});

t.test('asked while it plays, a source that stays silent, or refuses that, loses nothing', async (t) => {
  const usual = fakeSource();
  for (const [answer, told] of [
    ['none', 200],
    [400, 200],
    [454, 200],
    [455, 200],
    [401, 401],
    [404, 404],
  ] as const) {
    let plays = false;
    const world = await FakeWorld.start({
      script: (request) => {
        if (plays && request.method === 'DESCRIBE') return answer === 'none' ? undefined : response(answer);
        plays ||= request.method === 'PLAY';
        return usual(request);
      },
    });
    await watch(world.viewer());
    for (let i = 0; i < 2; i++) {
      const described = world.viewer().ask('DESCRIBE', `${PROXY}/x`);
      await world.advance(2100);
      t.equal((await described).status, told, `${answer}`);
    }
    await world.advance(5000); // a keep-alive is answered behind it
    if (told === 200) await watch(world.viewer());
    t.equal(world.sources.length, 1);
    t.match(world.proxy.streams(), [{ viewers: told === 200 ? 2 : 1, state: 'playing' }]);
    await world.proxy.close();
  }
});
