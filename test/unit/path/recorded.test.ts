// SPDX-License-Identifier: Apache-2.0
// Recorded sources: who seeks or goes on after a pause has a session of its own at the source, within the limit; the others
// notice nothing. RFC 2326 10.5, 10.6, 12.29, 12.34, appendix B.
import t, { type Test } from 'tap';
import { response } from '../../../src/control/rtsp/message.js';
import { parseRtpInfo } from '../../../src/control/rtsp/rtp-info.js';
import { parseTransport } from '../../../src/control/rtsp/transport.js';
import { fakeSource, SOURCE_SESSION, type SourceOptions } from '../../fixtures/fake-source.js';
import { FakeWorld, NOTHING_LEFT, PROXY, type FakeLink, type FakeStream } from '../../fixtures/fake-world.js';

const URL = `${PROXY}/x/`;
const ports = (rtp: number) => `RTP/AVP;unicast;client_port=${rtp}-${rtp + 1}`;

const worldOf = (options: SourceOptions = {}, settings = {}) =>
  FakeWorld.start({
    script: fakeSource({ recorded: true, silent: true, ...options }),
    settings,
    limits: { sessionMs: 600_000 },
  });

/** SETUP of the picture. */
async function setUp(viewer: FakeLink, transport = ports(40_000)) {
  const answer = await viewer.ask('SETUP', `${PROXY}/x/v`, { Transport: transport });
  const { ssrc, serverPort } = parseTransport(answer.headers.get('Transport')!)[0]!;
  const Session = answer.headers.get('Session')!.split(';')[0]!;
  const ask = (method: string, more = {}) => viewer.ask(method, URL, { Session, ...more });
  return { viewer, ask, ssrc, serverPort, Session };
}

async function watch(world: FakeWorld) {
  const watching = await setUp(world.viewer());
  const { status } = await watching.ask('PLAY', { Range: 'npt=0.000-' });
  if (status !== 200) throw new Error(`PLAY: ${status}`);
  return watching;
}

/** The source has sent that. */
function arrived(world: FakeWorld, stream: FakeStream, seq: number, timestamp: number, sent?: object): void {
  stream.received = {
    ...{ ssrc: 5, extendedMaxSeq: seq, baseSeq: 100, received: 1, jitter: 0, timestamp },
    ...{ arrivalNs: world.nowNs, ...sent },
  };
}

/** The proxy's own deadline is gone with it. */
async function finish(t: Test, world: FakeWorld): Promise<void> {
  await world.proxy.close();
  t.same(world.left, { ...NOTHING_LEFT, deadlines: -1 });
}

const methodsOf = (world: FakeWorld) => world.sources.map(({ requests }) => requests.map((r) => r.method));

t.test('who seeks while others watch gets a session of its own; the others notice nothing', async (t) => {
  const world = await worldOf();
  const first = await watch(world);
  const shared = world.streams[0]!;
  await world.advance(1000, 1000);
  arrived(world, shared, 130, 9000 + 90_000);
  const second = await watch(world);
  const asking = second.ask('PLAY', { Range: 'npt=40-' });
  await world.settle();
  const own = world.streams[1]!;
  t.equal(own.spec.downstream.rtpPort, shared.spec.downstream.rtpPort, 'served from the same ports');
  t.match(own.received, { ssrc: 5, extendedMaxSeq: 130 }, 'and as the same stream');
  t.equal(own.spec.source.address, '192.0.2.1', 'with the source behind it');
  await world.advance(100);
  arrived(world, own, 100, 9500, { sent: { ssrc: 5, seqOffset: 31, timestampOffset: 90_001 } });
  await world.advance(100);
  const play = await asking;
  t.equal(play.status, 200);
  t.same(parseRtpInfo(play.headers.get('RTP-Info')!), [{ url: `${PROXY}/x/v`, seq: 131, rtptime: 99_001 }]);
  t.equal(play.headers.get('Range'), 'npt=10.000-60.000', 'what the source says it plays');
  t.same(methodsOf(world), [
    ['DESCRIBE', 'SETUP', 'PLAY', 'OPTIONS'],
    ['DESCRIBE', 'SETUP', 'PLAY'],
  ]);
  t.notOk(world.sources[0]!.requests[3]!.headers.has('Range'));
  t.equal(world.sources[1]!.requests[2]!.headers.get('Range'), 'npt=40-');
  t.same([shared.viewers.size, own.viewers.size], [1, 1]);
  t.match([...own.viewers.values()], [{ rtpPort: 40_000, goesOn: true }]);

  // Later ones stay within it: PAUSE stops that source only, a further seek needs no new session.
  t.equal((await second.ask('PAUSE')).status, 200);
  t.equal((await second.ask('PLAY', { Range: 'npt=0-' })).status, 200);
  t.equal((await second.ask('PLAY', { Range: 'npt=20-' })).status, 200);
  t.same(
    methodsOf(world)[1]!.slice(3),
    ['PAUSE', 'PLAY', 'PAUSE', 'PLAY'],
    'a PLAY would wait behind a PLAY',
  );
  t.equal(world.sources.length, 2);
  t.match(world.proxy.streams(), [
    { path: '/x', viewers: 1, own: false },
    { path: '/x', viewers: 1, own: true },
  ]);

  // RTCP of the viewer comes to the ports that both streams have.
  await first.ask('TEARDOWN');
  await world.settle();
  t.equal(world.sources[0]!.open, false);
  t.equal(world.sources[1]!.open, true);
  t.equal(own.viewers.size, 1);
  second.viewer.close();
  await world.settle();
  t.same(world.left, NOTHING_LEFT);
  await world.proxy.close();
});

t.test('alone it keeps the session that it has, and newcomers begin another', async (t) => {
  const world = await worldOf();
  const first = await watch(world);
  t.equal((await first.ask('PAUSE')).status, 200);
  t.equal((await first.ask('PLAY', { Range: 'npt=30.000-' })).status, 200);
  t.same(methodsOf(world), [['DESCRIBE', 'SETUP', 'PLAY', 'PAUSE', 'PLAY']], 'as ffmpeg -ss does it');
  t.equal(world.source.requests[4]!.headers.get('Range'), 'npt=30.000-');
  t.equal(world.streams.length, 1);
  await watch(world);
  t.same(methodsOf(world)[1], ['SETUP', 'PLAY']);
  t.equal(world.sources[1]!.requests[1]!.headers.get('Range'), 'npt=0.000-', 'from the beginning');
  t.same(
    world.streams.map(({ viewers }) => viewers.size),
    [1, 1],
  );
  await finish(t, world);
});

t.test('after a pause it goes on where it was, others there or not', async (t) => {
  const world = await worldOf();
  await watch(world);
  const second = await watch(world);
  await world.advance(5000, 1000);
  arrived(world, world.streams[0]!, 200, 9000 + 5 * 90_000);
  t.equal((await second.ask('PAUSE')).status, 200);
  t.notOk(world.asked.includes('PAUSE'), 'the others play on');
  await world.advance(20_000, 1000);
  arrived(world, world.streams[0]!, 700, 9000 + 25 * 90_000);
  const asking = second.ask('PLAY');
  await world.settle();
  await world.advance(500);
  t.equal((await asking).status, 200);
  t.equal(world.source.requests.at(-1)!.headers.get('Range'), 'npt=15.000-', 'the source began at 10');
  t.equal(world.streams[1]!.received?.extendedMaxSeq, 200, 'goes on from the last packet that it got');
  await finish(t, world);
});

t.test('within a limit, else 457; and to go on where the others are is always possible', async (t) => {
  const world = await worldOf({}, { ownSessions: 1 });
  await watch(world);
  const [second, third] = [await watch(world), await watch(world)];
  const asking = second.ask('PLAY', { Range: 'npt=40-' });
  await world.settle();
  await world.advance(500);
  t.equal((await asking).status, 200);
  t.equal((await third.ask('PLAY', { Range: 'npt=40-' })).status, 457);
  t.match(
    world.proxy.clients().map(({ state }) => state),
    ['playing', 'playing', 'playing'],
  );
  await third.ask('PAUSE');
  const play = await third.ask('PLAY');
  t.equal(play.status, 200);
  t.match(play.headers.get('Range'), /^npt=/);
  t.equal(world.sources.length, 2);
  await second.ask('TEARDOWN');
  await world.settle();
  const again = third.ask('PLAY', { Range: 'npt=40-' });
  await world.settle();
  await world.advance(500);
  t.equal((await again).status, 200, 'the other one has left');
  await finish(t, world);

  const none = await worldOf({}, { ownSessions: 0 });
  const alone = await watch(none);
  t.equal((await alone.ask('PAUSE')).status, 200);
  t.equal((await alone.ask('PLAY', { Range: 'npt=40-' })).status, 457);
  t.notOk(none.asked.includes('PAUSE'));
  await none.proxy.close();
});

t.test('where the source refuses, the viewer is where it was', async (t) => {
  let plays = 0;
  const answers = {
    PLAY: () => (++plays === 2 ? response(457) : response(200, [['Session', SOURCE_SESSION]])),
  };
  const world = await worldOf({ answers });
  await watch(world);
  arrived(world, world.streams[0]!, 130, 99_000);
  const second = await watch(world);
  const asking = second.ask('PLAY', { Range: 'npt=400-' });
  await world.settle();
  await world.advance(500);
  t.equal((await asking).status, 457);
  t.equal(world.streams[0]!.viewers.size, 2, 'both get the shared one');
  t.equal(world.sources[1]!.open, false);
  t.match(world.proxy.streams(), [{ viewers: 2, own: false }]);
  await finish(t, world);
});

t.test('an own session goes on when the source refuses a Range', async (t) => {
  const answers = {
    PLAY: ({ headers }: { headers: { get(name: string): string | undefined } }) =>
      headers.get('Range') === 'npt=400-' ? response(457) : response(200, [['Session', SOURCE_SESSION]]),
  };
  const world = await worldOf({ answers });
  const viewer = await watch(world);
  t.equal((await viewer.ask('PLAY', { Range: 'npt=400-' })).status, 457);
  t.same(methodsOf(world)[0]!.slice(2), ['PLAY', 'PAUSE', 'PLAY', 'PLAY']);
  t.match(world.proxy.clients(), [{ state: 'playing' }]);
  t.match(world.proxy.streams(), [{ state: 'playing' }]);
  await world.proxy.close();
});

t.test('a second session that the source does not give disturbs nobody', async (t) => {
  let setups = 0;
  const usual = fakeSource({ recorded: true });
  const world = await FakeWorld.start({
    script: (request) => (request.method === 'SETUP' && ++setups > 1 ? response(453) : usual(request)),
  });
  await watch(world);
  arrived(world, world.streams[0]!, 130, 99_000);
  const second = await watch(world);
  t.equal((await second.ask('PLAY', { Range: 'npt=40-' })).status, 453);
  t.equal(world.streams[0]!.viewers.size, 2);
  await world.settle();
  t.match(world.proxy.streams(), [{ viewers: 2 }]);
  await second.ask('PAUSE');
  t.equal((await second.ask('PLAY')).status, 200, 'it goes on where the others are');
  await finish(t, world);
});

t.test('a viewer that goes while its session is made', async (t) => {
  const usual = fakeSource({ recorded: true });
  let silent = false;
  const world = await FakeWorld.start({
    script: (request) => (silent && request.method === 'SETUP' ? undefined : usual(request)),
  });
  await watch(world);
  const second = await watch(world);
  silent = true;
  const asking = second.ask('PLAY', { Range: 'npt=40-' });
  await world.settle();
  second.viewer.close();
  await world.advance(11_000, 1000);
  t.equal((await asking).status, 504);
  t.match(world.proxy.streams(), [{ viewers: 1 }]);
  await finish(t, world);
});

t.test('of a live source nobody has a session of its own', async (t) => {
  const world = await worldOf({ recorded: false });
  await watch(world);
  const second = await watch(world);
  for (const Range of ['npt=40-', 'npt=now-']) {
    const play = await second.ask('PLAY', { Range });
    t.equal(play.status, 200);
    t.equal(play.headers.get('Range'), 'npt=now-', 'where it really is');
  }
  t.equal((await second.ask('PAUSE')).status, 200);
  t.equal((await second.ask('PLAY', { Range: 'npt=40-' })).status, 200);
  t.equal(world.sources.length, 1);
  await world.proxy.close();
});

t.test('near-video-on-demand: a start for each interval in which somebody comes', async (t) => {
  const world = await worldOf({}, { stagger: 30_000, staggerStarts: 3, maxViewers: 6 });
  const viewers = [await watch(world)];
  await world.advance(20_000, 1000);
  viewers.push(await watch(world));
  t.equal(world.sources.length, 1, 'who comes soon joins the newest');
  await world.advance(11_000, 1000);
  viewers.push(await watch(world));
  t.equal(world.sources.length, 2);
  t.equal(world.sources[1]!.requests.at(-1)!.headers.get('Range'), 'npt=0.000-');
  viewers.push(await watch(world));
  t.equal(world.sources.length, 2);
  t.match(world.proxy.streams(), [
    { viewers: 2, open: false, own: false },
    { viewers: 2, open: true, own: false },
  ]);
  await world.advance(31_000, 1000);
  viewers.push(await watch(world));
  await world.advance(31_000, 1000);
  viewers.push(await watch(world));
  t.equal(world.sources.length, 3, 'no more than that');
  t.match(world.proxy.paths(), [{ streams: 3, viewers: 6, staggerMs: 30_000, own: 0, mostOwn: 8 }, {}]);
  const late = await world.viewer().ask('SETUP', `${PROXY}/x/v`, { Transport: ports(40_000) });
  t.equal(late.status, 503, 'maxViewers is for all starts together');
  for (const { ask } of viewers.slice(0, 2)) await ask('TEARDOWN');
  await world.settle();
  t.equal(world.sources[0]!.open, false, 'a start ends with its last viewer');
  await watch(world);
  t.equal(world.sources.length, 4);
  await finish(t, world);
});

t.test('who is one too many begins no start', async (t) => {
  const world = await worldOf({}, { stagger: 5000, maxViewers: 1 });
  const { ask } = await watch(world);
  await world.advance(6000, 1000);
  const late = await world.viewer().ask('SETUP', `${PROXY}/x/v`, { Transport: ports(40_000) });
  t.equal(late.status, 503);
  t.match(world.proxy.streams(), [{ viewers: 1, open: true }]);
  await ask('TEARDOWN');
  await world.advance(1000);
  t.same(world.left, NOTHING_LEFT);
  await finish(t, world);
});

t.test('stagger means nothing for a live source', async (t) => {
  const world = await worldOf({ recorded: false }, { stagger: 1000 });
  await watch(world);
  await world.advance(5000, 1000);
  await watch(world);
  t.equal(world.sources.length, 1);
  await finish(t, world);
});

t.test('Scale and Speed are answered as they are', async (t) => {
  const answers = {
    PLAY: ({ headers }: { headers: { get(name: string): string | undefined } }) =>
      response(200, [
        ['Session', SOURCE_SESSION],
        ...(headers.get('Scale') === undefined ? [] : [['Scale', '2.0'] as [string, string]]),
      ]),
  };
  const world = await worldOf({ answers });
  const first = await setUp(world.viewer());
  const play = await first.ask('PLAY', { Scale: '4', Speed: '2' });
  t.equal(play.headers.get('Scale'), '1.000', 'shared');
  t.equal(play.headers.get('Speed'), '1.000');
  t.notOk(world.source.requests.at(-1)!.headers.has('Scale'));
  await first.ask('PAUSE');
  const own = await first.ask('PLAY', { Scale: '4' });
  t.equal(world.source.requests.at(-1)!.headers.get('Scale'), '4');
  t.equal(own.headers.get('Scale'), '2.000', 'what the source says');
  t.notOk((await first.ask('PLAY', { Range: 'npt=5-' })).headers.has('Scale'), 'nobody asked');
  for (const Scale of ['fast', '0', '1e9', ''])
    t.equal((await first.ask('PLAY', { Scale })).status, 400, Scale);
  await world.proxy.close();
});
