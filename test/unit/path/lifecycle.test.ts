// SPDX-License-Identifier: Apache-2.0
// How viewers and resources end, and every way in which the source can fail: who is told what, and that nothing is left.
import t from 'tap';
import { buildGoodbye } from '../../../src/control/rtcp/build.js';
import { parseCompound } from '../../../src/control/rtcp/compound.js';
import { request, response } from '../../../src/control/rtsp/message.js';
import { fakeSource } from '../../fixtures/fake-source.js';
import {
  FakeWorld,
  NOTHING_LEFT,
  PROXY,
  type FakeLink,
  type WorldOptions,
} from '../../fixtures/fake-world.js';

const Transport = (rtp = 40_000) => `RTP/AVP;unicast;client_port=${rtp}-${rtp + 1}`;

async function setUp(viewer: FakeLink, rtp?: number): Promise<string> {
  const { headers } = await viewer.ask('SETUP', `${PROXY}/x/v`, { Transport: Transport(rtp) });
  return headers.get('Session')?.split(';')[0] ?? '';
}

async function watch(viewer: FakeLink, rtp?: number): Promise<string> {
  const Session = await setUp(viewer, rtp);
  const { status } = await viewer.ask('PLAY', `${PROXY}/x/`, { Session });
  if (status !== 200) throw new Error(`PLAY: ${status}`);
  return Session;
}

/** Kinds and SSRCs of what the proxy sent to a viewer's RTCP port. */
function goodbyes(world: FakeWorld, { remote }: FakeLink, port = 40_001): number[] {
  const sent = world.pairs
    .flatMap((pair) => pair.sent)
    .filter(({ to }) => to.address === remote.address && to.port === port);
  return sent.flatMap(({ packet }) => {
    const compound = parseCompound(packet);
    if (!compound.ok) throw new Error(compound.reason);
    return compound.packets.flatMap((part) => (part.kind === 'bye' ? part.ssrcs : []));
  });
}

async function world(options: Partial<WorldOptions> = {}): Promise<FakeWorld> {
  return FakeWorld.start({ script: fakeSource(), ...options });
}

t.test('a connection that closes takes its sessions along, unless another one uses them', async (t) => {
  const w = await world();
  const viewer = w.viewer();
  const Session = await watch(viewer);
  const other = w.viewer(viewer.remote.address, 50_001);
  t.equal((await other.ask('GET_PARAMETER', `${PROXY}/x/`, { Session })).status, 200);
  viewer.close();
  await w.settle();
  t.equal(w.left.copies, 1, 'the other connection holds it');
  other.close();
  await w.settle();
  t.equal(w.asked.at(-1), 'TEARDOWN');
  t.same(w.left, NOTHING_LEFT);
  await w.proxy.close();
});

t.test('a silent viewer ends after the session timeout; requests and receiver reports keep it', async (t) => {
  const w = await world();
  const silent = w.viewer();
  const asking = w.viewer();
  const reporting = w.viewer();
  await watch(silent);
  const Session = await watch(asking);
  await watch(reporting);
  for (let second = 0; second < 70; second += 10) {
    await w.advance(10_000, 1000);
    w.streams[0]!.packets++;
    await asking.ask('GET_PARAMETER', `${PROXY}/x/`, { Session });
    const [, downstream] = w.pairs;
    const rr = Buffer.from([0x80, 201, 0, 1, 0, 0, 0, 1]);
    downstream!.receiveRtcp(rr, { address: reporting.remote.address, port: 40_001 });
  }
  t.same([silent.open, asking.open, reporting.open], [false, true, true]);
  t.same(goodbyes(w, silent), [0x00c0ffee], 'it is told all the same');
  t.equal(w.proxy.clients().length, 2);
  await w.proxy.close();
});

t.test('a source that vanishes: viewers are told and closed, the next one starts afresh', async (t) => {
  const w = await world();
  const [a, b, ready] = [w.viewer(), w.viewer(), w.viewer()];
  await watch(a);
  await watch(b, 41_000);
  await setUp(ready, 42_000);
  w.streams[0]!.received = {
    ssrc: 9,
    extendedMaxSeq: 1,
    baseSeq: 1,
    received: 1,
    jitter: 0,
    timestamp: 0,
    arrivalNs: w.nowNs,
  };
  w.source.break();
  await w.settle();
  t.same([goodbyes(w, a), goodbyes(w, b, 41_001), goodbyes(w, ready, 42_001)], [[9], [9], []]);
  t.same([a.open, b.open, ready.open], [false, false, false]);
  t.same(w.left, NOTHING_LEFT);
  await watch(w.viewer());
  t.equal(w.sources.length, 2);
  await w.proxy.close();
  await w.settle();
  t.same({ ...w.left, deadlines: 0 }, NOTHING_LEFT);
});

t.test('silence: media is a sign of life, a source without any is gone', async (t) => {
  const GET_PARAMETER = () => undefined; // some cameras never answer it
  const w = await world({ script: fakeSource({ answers: { GET_PARAMETER } }) });
  const viewer = w.viewer();
  const Session = await watch(viewer);
  const step = async (packets: number) => {
    await w.advance(20_000, 1000);
    w.streams[0]!.packets += packets;
    return (await viewer.ask('GET_PARAMETER', `${PROXY}/x/`, { Session })).status;
  };
  for (let i = 0; i < 10; i++) t.equal(await step(1), 200);
  t.ok(w.asked.filter((method) => method === 'GET_PARAMETER').length >= 5, 'it is asked on all the same');
  for (let i = 0; i < 3; i++) await step(0);
  await w.advance(5000, 1000);
  t.notOk(viewer.open);
  t.same(w.left, NOTHING_LEFT);
  await w.proxy.close();
});

t.test(
  'keep-alive: OPTIONS first, then GET_PARAMETER if the source has it, at half its timeout',
  async (t) => {
    for (const [publicMethods, expected] of [
      ['OPTIONS, GET_PARAMETER', 'GET_PARAMETER'],
      ['OPTIONS, SETUP', 'OPTIONS'],
    ] as const) {
      const w = await world({ script: fakeSource({ publicMethods }), limits: { sessionMs: 1e6 } });
      await watch(w.viewer());
      await w.advance(62_000, 1000);
      t.same(w.asked.slice(4), ['OPTIONS', expected, expected]);
      t.equal(w.source.requests.at(-1)!.headers.get('Session'), 'source-session-1');
      await w.proxy.close();
    }
  },
);

t.test('the end of a clip: newcomers begin anew, who has seen it may start it again', async (t) => {
  const w = await world({ script: fakeSource({ recorded: true }) });
  const viewer = w.viewer();
  const Session = await watch(viewer);
  const from = { address: '192.0.2.1', port: 6001 };
  w.pairs[0]!.receiveRtcp(buildGoodbye(0x5555, 'x'), { address: '192.0.2.66', port: 6001 });
  await w.advance(4000, 500);
  t.equal(w.proxy.streams()[0]!.state, 'playing', 'a stranger cannot end it');
  w.pairs[0]!.receiveRtcp(buildGoodbye(0x5555, 'x'), from);
  await w.advance(4000, 500);
  t.equal(w.proxy.streams()[0]!.state, 'ready');
  await watch(w.viewer());
  t.equal(w.sources.length, 2, 'a session of its own');
  t.equal((await viewer.ask('PLAY', `${PROXY}/x/`, { Session, Range: 'npt=0-' })).status, 200);
  t.equal(w.sources[0]!.requests.at(-1)!.method, 'PLAY');
  await w.advance(3000, 500);
  t.equal(w.proxy.streams()[0]!.state, 'playing', 'the old BYE is forgotten');
  viewer.close();
  await w.settle();
  t.match(w.left, { resources: 1, copies: 1 });
  await w.proxy.close();
  await w.settle();
  t.same({ ...w.left, deadlines: 0 }, NOTHING_LEFT);
});

t.test(
  'a resource without session lingers, then its connection is closed; a failed one goes at once',
  async (t) => {
    const w = await world();
    const viewer = w.viewer();
    await viewer.ask('DESCRIBE', `${PROXY}/x`);
    await w.advance(9000, 1000);
    await viewer.ask('DESCRIBE', `${PROXY}/x`);
    t.equal(w.sources.length, 1, 'the connection is used again');
    await viewer.ask('DESCRIBE', `${PROXY}/none`);
    t.equal(w.left.sources, 1);
    await w.advance(11_000, 1000);
    viewer.close();
    await w.settle();
    t.same(w.left, NOTHING_LEFT);
    t.notOk(w.asked.includes('TEARDOWN'));
    await w.proxy.close();
  },
);

t.test('a new session waits until the old one has been torn down', async (t) => {
  let holdBack = true;
  const usual = fakeSource();
  const w = await world({
    script: (asked) => (asked.method === 'TEARDOWN' && holdBack ? undefined : usual(asked)),
  });
  const viewer = w.viewer();
  const Session = await watch(viewer);
  await viewer.ask('TEARDOWN', `${PROXY}/x/`, { Session });
  const next = setUp(w.viewer());
  await w.settle();
  t.equal(w.sources.length, 1, 'nothing yet');
  t.equal(w.proxy.streams()[0]!.state, 'ending');
  await w.advance(2200);
  await next;
  t.equal(w.sources.length, 2, 'the source has had its time');
  t.notOk(w.sources[0]!.open);
  holdBack = false;
  await w.proxy.close();
  t.same({ ...w.left, deadlines: 0 }, NOTHING_LEFT);
});

t.test('kick, flush and close end sessions and tell source and viewers', async (t) => {
  const w = await world();
  const [a, b] = [w.viewer(), w.viewer()];
  await watch(a);
  await watch(b, 41_000);
  t.notOk(w.proxy.kick(99));
  t.ok(w.proxy.kick(1));
  await w.settle();
  t.same([a.open, b.open], [false, true]);
  t.same(goodbyes(w, a), [0x00c0ffee]);
  t.equal(w.left.copies, 1);
  t.equal(w.proxy.flush(), 1);
  await w.settle();
  t.same(w.left, NOTHING_LEFT);
  t.equal(w.asked.at(-1), 'TEARDOWN');
  await watch(w.viewer());
  await w.proxy.close();
  await w.settle();
  t.same({ ...w.left, deadlines: 0 }, NOTHING_LEFT);
});

t.test('what the source refuses is passed on as it is, and everybody who waits gets it', async (t) => {
  const refuse = (status: number) => () => response(status, [['WWW-Authenticate', 'Basic realm="camera"']]);
  for (const [method, status] of [
    ...([
      ['DESCRIBE', 401],
      ['DESCRIBE', 503],
      ['SETUP', 453],
      ['PLAY', 455],
    ] as const),
  ] as const) {
    const w = await world({ script: fakeSource({ answers: { [method]: refuse(status) } }) });
    const viewers = [w.viewer(), w.viewer()];
    const answers = await Promise.all(
      viewers.map(async (viewer) => {
        if (method === 'DESCRIBE') return viewer.ask('DESCRIBE', `${PROXY}/x`);
        const setup = await viewer.ask('SETUP', `${PROXY}/x/v`, { Transport: Transport() });
        if (method === 'SETUP') return setup;
        return viewer.ask('PLAY', `${PROXY}/x/`, { Session: setup.headers.get('Session')!.split(';')[0] });
      }),
    );
    t.same(
      answers.map((answer) => answer.status),
      [status, status],
      method,
    );
    t.equal(w.asked.filter((asked) => asked === method).length, 1);
    t.notOk(answers[0]!.headers.has('WWW-Authenticate'));
    t.equal(w.left.copies, 0, 'no copies for who does not play');
    for (const viewer of viewers) viewer.close();
    await w.settle();
    await w.advance(10_100, 1000);
    t.same(w.left, NOTHING_LEFT, `${method} ${status}`);
    await w.proxy.close();
  }
});

t.test('answers that cannot be used are a bad gateway', async (t) => {
  const sdp =
    (body: string, type = 'application/sdp') =>
    () =>
      response(200, [['Content-Type', type]], Buffer.from(body));
  const setup =
    (...headers: [string, string][]) =>
    () =>
      response(200, headers);
  const session: [string, string] = ['Session', 's'];
  const cases: [string, string, () => ReturnType<typeof response>][] = [
    ['no media section', 'DESCRIBE', sdp('v=0\r\n')],
    ['not SDP', 'DESCRIBE', sdp('{}', 'text/json')],
    ['unexpected success', 'DESCRIBE', () => response(250)],
    ['no Transport', 'SETUP', setup(session)],
    ['interleaved', 'SETUP', setup(session, ['Transport', 'RTP/AVP/TCP;unicast;interleaved=0-1'])],
    ['multicast', 'SETUP', setup(session, ['Transport', 'RTP/AVP;multicast;port=5000-5001'])],
    ['no Session', 'SETUP', setup(['Transport', 'RTP/AVP;unicast;server_port=1-2'])],
  ];
  for (const [what, method, answer] of cases) {
    const w = await world({ script: fakeSource({ answers: { [method]: answer } }) });
    const viewer = w.viewer();
    t.equal((await viewer.ask('SETUP', `${PROXY}/x/v`, { Transport: Transport() })).status, 502, what);
    viewer.close();
    await w.advance(10_100, 1000);
    t.same(w.left, NOTHING_LEFT, what);
    await w.proxy.close();
  }
});

t.test(
  'a source that does not answer in time: 504; one that answers the wrong CSeq: 502 for all who wait',
  async (t) => {
    const mute = await world({ script: () => undefined });
    const waiting = mute.viewer().ask('DESCRIBE', `${PROXY}/x`);
    await mute.advance(10_200);
    t.equal((await waiting).status, 504);
    const unreachable = await world({ script: () => undefined, unreachable: true });
    const dialling = unreachable.viewer().ask('DESCRIBE', `${PROXY}/x`);
    await unreachable.advance(10_200);
    t.equal((await dialling).status, 504);
    t.same(unreachable.left, NOTHING_LEFT);
    const confused = await world({ script: () => response(200, [['CSeq', '4711']]) });
    const [a, b] = await Promise.all([1, 2].map(() => confused.viewer().ask('DESCRIBE', `${PROXY}/x`)));
    t.same([a!.status, b!.status], [502, 502]);
    t.same(confused.left, NOTHING_LEFT);
    for (const w of [mute, unreachable, confused]) await w.proxy.close();
  },
);

t.test(
  'an answer that comes too late is thrown away, or passed over when a later one comes first',
  async (t) => {
    let mute = false;
    const usual = fakeSource();
    const w = await world({
      script: (asked) => (mute ? undefined : usual(asked)),
      limits: { sessionMs: 1e6 },
    });
    const viewer = w.viewer();
    await watch(viewer);
    for (const answeredLate of [true, false]) {
      mute = true;
      const asked = viewer.ask('DESCRIBE', `${PROXY}/x`);
      await w.advance(10_200);
      t.equal((await asked).status, 200, 'what it said before, for it plays');
      mute = false;
      const unanswered = w.source.requests.filter(({ method }) => method === 'DESCRIBE').at(-1)!;
      if (answeredLate) w.source.receive(response(200, [['CSeq', unanswered.headers.get('CSeq')!]]));
      t.equal((await viewer.ask('DESCRIBE', `${PROXY}/x`)).status, 200);
    }
    t.equal(w.left.copies, 1, 'the stream was not disturbed');
    t.equal(w.sources.length, 1);
    await w.proxy.close();
  },
);

t.test('interim answers are waited past, questions of the source answered', async (t) => {
  const usual = fakeSource();
  const w = await world({ script: fakeSource({ answers: { DESCRIBE: () => undefined } }) });
  const asked = w.viewer().ask('DESCRIBE', `${PROXY}/x`);
  await w.settle();
  w.source.receive(response(100, [['CSeq', '1']]));
  w.source.receive(request('OPTIONS', '*', [['CSeq', '9']]));
  w.source.receive(request('ANNOUNCE', '*', [['CSeq', '10']]));
  const answers = w.source.answers.map(({ status, headers }) => `${status} ${headers.get('CSeq')}`);
  t.same(answers, ['200 9', '501 10']);
  w.source.receive(usual(w.source.requests[0]!)!); // without CSeq, as VLC does at times: the oldest is meant
  t.equal((await asked).status, 200);
  await w.proxy.close();
});

t.test('the datapath or the port allocator has no room', async (t) => {
  const w = await world();
  w.noPorts = true;
  t.equal((await w.viewer().ask('SETUP', `${PROXY}/x/v`, { Transport: Transport() })).status, 503);
  w.noPorts = false;
  const viewer = w.viewer();
  const Session = await setUp(viewer);
  w.streams[0]!.refuse = 'full';
  t.equal((await viewer.ask('PLAY', `${PROXY}/x/`, { Session })).status, 503);
  t.notOk(w.asked.includes('PLAY'), 'the source is not started for nobody');
  viewer.close();
  await w.settle();
  t.same(w.left, NOTHING_LEFT);
  await w.proxy.close();
});

t.test('a viewer that goes while the source is asked leaves nothing', async (t) => {
  for (const method of ['DESCRIBE', 'SETUP', 'PLAY']) {
    const w = await world({ script: fakeSource() });
    const viewer = w.viewer();
    const Session = method === 'PLAY' ? await setUp(viewer) : undefined;
    const url = method === 'SETUP' ? `${PROXY}/x/v` : `${PROXY}/x`;
    const asked = viewer.ask(method, url, { Transport: Transport(), ...(Session && { Session }) });
    viewer.close();
    await asked;
    await w.settle();
    await w.advance(10_100, 1000);
    t.same(w.left, NOTHING_LEFT, method);
    await w.proxy.close();
  }
});

t.test('the number of resources is bounded', async (t) => {
  const w = await world({ limits: { resources: 1 } });
  t.equal((await w.viewer().ask('DESCRIBE', `${PROXY}/x`)).status, 200);
  t.equal((await w.viewer().ask('DESCRIBE', `${PROXY}/other`)).status, 503);
  await w.proxy.close();
});
