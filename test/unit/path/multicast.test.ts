// SPDX-License-Identifier: Apache-2.0
// Multicast: viewers who share a group of ours, and a source that offers nothing but a group of its own.
import t, { type Test } from 'tap';
import type { Device } from '../../../src/control/path/ports.js';
import { buildGoodbye, buildReceiverReport } from '../../../src/control/rtcp/build.js';
import { response, type RtspResponse } from '../../../src/control/rtsp/message.js';
import { parseMulticastNetwork } from '../../../src/control/state/multicast-addresses.js';
import { fakeSource, SOURCE_SESSION, type SourceOptions } from '../../fixtures/fake-source.js';
import { FakeWorld, NOTHING_LEFT, PROXY, type FakeLink } from '../../fixtures/fake-world.js';

const EAST: Device = { name: 'east', address: '203.0.113.254' };
const WEST: Device = { name: 'west', address: '198.18.0.254' };
const WANTED = 'RTP/AVP;multicast';
const SSRC = 0xabcdef01;

async function world(network = '239.1.0.0/29', options: SourceOptions = {}): Promise<FakeWorld> {
  const multicast = { network: parseMulticastNetwork(network), ttl: 7, device: undefined };
  const made = await FakeWorld.start({ script: fakeSource(options), multicast });
  made.deviceFor = (viewer) =>
    viewer.startsWith('203.') ? EAST : viewer.startsWith('198.') ? WEST : undefined;
  return made;
}

async function setUp(
  viewer: FakeLink,
  track = 'v',
  Transport = WANTED,
  Session?: string,
): Promise<RtspResponse> {
  return viewer.ask('SETUP', `${PROXY}/x/${track}`, { Transport, Session });
}

const sessionOf = (answer: RtspResponse) => answer.headers.get('Session')!.split(';')[0]!;
const transportOf = (answer: RtspResponse) => answer.headers.get('Transport');

async function watch(viewer: FakeLink): Promise<string> {
  const session = sessionOf(await setUp(viewer));
  const { status } = await viewer.ask('PLAY', `${PROXY}/x/`, { Session: session });
  if (status !== 200) throw new Error(`PLAY: ${status}`);
  return session;
}

t.test('all multicast viewers behind a device share one copy of a track', async (t) => {
  const w = await world();
  const [first, second] = [w.viewer(), w.viewer()];
  const answer = await setUp(first);
  const pair = w.pairs[2]!;
  const ports = `${pair.rtpPort}-${pair.rtcpPort}`;
  const expected = `RTP/AVP;multicast;destination=239.1.0.0;source=${EAST.address};port=${ports};ttl=7`;
  t.equal(transportOf(answer), expected);
  t.same(pair.multicast, { group: '239.1.0.0', device: EAST, ttl: 7 });
  t.equal(w.left.copies, 0, 'nothing is sent before PLAY');
  const session = sessionOf(answer);
  t.equal((await first.ask('PLAY', `${PROXY}/x/`, { Session: session })).status, 200);

  const other = await setUp(second);
  t.equal(transportOf(other), expected, 'the same group');
  t.equal((await second.ask('PLAY', `${PROXY}/x/`, { Session: sessionOf(other) })).status, 200);
  const [stream] = w.streams;
  t.match(
    [...stream!.viewers.values()],
    [
      {
        localAddress: EAST.address,
        address: '239.1.0.0',
        rtpPort: pair.rtpPort,
        rtcpPort: pair.rtcpPort,
        multicast: { device: EAST, ttl: 7, pair },
      },
    ],
  );
  t.equal(stream!.viewers.size, 1, 'one copy for both');
  t.match(
    w.proxy.clients().map(({ tracks }) => tracks[0]),
    [
      { group: '239.1.0.0', rtpPort: pair.rtpPort, packets: 7 },
      { group: '239.1.0.0', packets: 0 },
    ],
    'the second has had nothing of what was sent before it came',
  );

  const sound = transportOf(await setUp(first, 'a', WANTED, session));
  t.match(
    sound,
    /destination=239\.1\.0\.1;.*port=20010-20011/,
    'another track, another group and other ports',
  );
  t.equal((await first.ask('TEARDOWN', `${PROXY}/x/v`, { Session: session })).status, 200);
  t.equal(stream!.viewers.size, 1, 'the one that is left still gets it');
  await second.ask('PAUSE', `${PROXY}/x/`, { Session: sessionOf(other) });
  t.equal(stream!.viewers.size, 0, 'sent no longer than anybody plays');
  t.ok(pair.open, 'but still theirs');
  await second.ask('TEARDOWN', `${PROXY}/x/`, { Session: sessionOf(other) });
  t.notOk(pair.open, 'left with the last');
  first.close();
  await w.settle();
  t.same(w.left, NOTHING_LEFT);
});

t.test('each device has a group of its own, and unicast viewers their own copies', async (t) => {
  const w = await world();
  await watch(w.viewer('203.0.113.7'));
  await watch(w.viewer('198.18.0.7'));
  const alone = w.viewer('203.0.113.9');
  const unicast = await setUp(alone, 'v', 'RTP/AVP;unicast;client_port=5000-5001');
  await alone.ask('PLAY', `${PROXY}/x/`, { Session: sessionOf(unicast) });
  t.match(transportOf(unicast), /^RTP\/AVP;unicast;client_port=5000-5001;server_port=20002-20003/);
  t.same(
    [...w.streams[0]!.viewers.values()].map(({ address, multicast }) => [address, multicast?.device.name]),
    [
      ['239.1.0.0', 'east'],
      ['239.1.0.1', 'west'],
      ['203.0.113.9', undefined],
    ],
  );
  await w.proxy.close();
  t.same({ ...w.left, deadlines: 0 }, NOTHING_LEFT);
});

t.test('461 where multicast cannot be had, and the next alternative where there is one', async (t) => {
  const off = await FakeWorld.start({ script: fakeSource() });
  off.deviceFor = () => EAST;
  t.equal((await setUp(off.viewer())).status, 461, 'it was not asked for on the command line');
  const w = await world('239.1.0.0/32');
  t.equal((await setUp(w.viewer('127.0.0.1'))).status, 461, 'no device leads there');
  const both = await setUp(w.viewer('127.0.0.1'), 'v', `${WANTED},RTP/AVP;unicast;client_port=5000-5001`);
  t.match(transportOf(both), /^RTP\/AVP;unicast/);
  t.equal((await setUp(w.viewer(), 'v', `${WANTED};mode=RECORD`)).status, 461);
  t.equal((await setUp(w.viewer(), 'v', 'RTP/AVP/TCP;multicast')).status, 461);
  const viewer = w.viewer();
  const session = await watch(viewer);
  t.equal((await setUp(viewer, 'a', WANTED, session)).status, 461, 'the network has one address');
  t.equal((await setUp(w.viewer())).status, 200, 'which others may share');
  w.noPorts = true;
  t.equal(w.left.copies, 1);
});

t.test('no group is used again at once', async (t) => {
  const w = await world('239.1.0.0/31');
  const keeper = w.viewer(); // keeps the resource
  await setUp(keeper, 'v', 'RTP/AVP;unicast;client_port=5000-5001');
  const seen: string[] = [];
  for (let i = 0; i < 3; i++) {
    const viewer = w.viewer();
    const answer = await setUp(viewer);
    seen.push(
      answer.status === 200 ? /destination=([\d.]+)/.exec(transportOf(answer)!)![1]! : `${answer.status}`,
    );
    viewer.close();
    await w.settle();
  }
  t.same(seen, ['239.1.0.0', '239.1.0.1', '461']);
});

t.test('when the datapath or the ports fail, nothing of a group is left', async (t) => {
  const w = await world();
  const keeper = w.viewer();
  await setUp(keeper, 'v', 'RTP/AVP;unicast;client_port=5000-5001');
  w.noPorts = true;
  t.equal((await setUp(w.viewer())).status, 503);
  w.noPorts = false;
  w.streams[0]!.refuse = 'full';
  const [a, b] = [w.viewer(), w.viewer()];
  const sessions = [sessionOf(await setUp(a)), sessionOf(await setUp(b))];
  const asked = [a, b].map((viewer, i) => viewer.ask('PLAY', `${PROXY}/x/`, { Session: sessions[i] }));
  t.same(
    (await Promise.all(asked)).map(({ status }) => status),
    [503, 503],
  );
  w.streams[0]!.refuse = undefined;
  t.equal((await b.ask('PLAY', `${PROXY}/x/`, { Session: sessions[1] })).status, 200);
  t.equal(w.left.copies, 1);
  b.close();
  await w.settle();
  t.equal(w.left.copies, 0);
});

const report = (ssrc: number, fraction: number) =>
  buildReceiverReport(ssrc, 'v', [
    { ssrc: SSRC, fraction, cumulative: 3, extendedMaxSeq: 1099, jitter: 9, lsr: 0, dlsr: 0 },
  ]);

async function reporting(...addresses: string[]) {
  const w = await world();
  const viewers = addresses.map((address, i) => w.viewer(address, 50_000 + i));
  for (const viewer of viewers) await watch(viewer);
  const [stream] = w.streams;
  const [, , group] = w.pairs;
  const zero = { baseSeq: 1000, received: 90, jitter: 0, timestamp: 0 };
  stream!.received = { ...zero, ssrc: SSRC, extendedMaxSeq: 1099, arrivalNs: w.nowNs };
  return { w, viewers, stream: stream!, group: group! };
}

const fractions = (w: FakeWorld) =>
  w.proxy.clients().map(({ tracks }) => (tracks[0]!.loss?.fraction ?? NaN) * 256);

t.test("reports to the group are their senders'", async (t) => {
  const { w, group, stream } = await reporting('203.0.113.1', '203.0.113.2');
  group.receiveRtcp(report(1, 10), { address: '203.0.113.1', port: 999 });
  group.receiveRtcp(report(2, 20), { address: '203.0.113.2', port: 20_005 });
  t.same(fractions(w), [10, 20]);
  t.same(stream.losses, [], "one viewer's loss does not thin all copies");
  group.receiveRtcp(report(3, 30), { address: '203.0.113.3', port: 20_005 });
  group.receiveRtcp(Buffer.from('rubbish'), { address: '203.0.113.1', port: 20_005 });
  t.match(w.proxy.status().refused, { 'viewer-rtcp-from-stranger': 1, 'viewer-rtcp-bad-version': 1 });
  group.receiveRtcp(report(9, 90), { address: '203.0.113.1', port: 1 });
  t.same(fractions(w), [90, 20], 'who is alone at an address may change its SSRC');
});

t.test('members on one host are told apart by the SSRC that they report as', async (t) => {
  const { w, group } = await reporting('203.0.113.1', '203.0.113.1');
  const from = { address: '203.0.113.1', port: 20_005 };
  for (const [ssrc, fraction] of [
    [7, 70],
    [8, 80],
    [7, 71],
    [9, 90],
  ] as const)
    group.receiveRtcp(report(ssrc, fraction), from);
  t.same(fractions(w), [71, 80]);
  t.match(w.proxy.status().refused, { 'viewer-report-of-nobody': 1 });
  group.receiveRtcp(buildGoodbye(8, 'v'), from);
  t.same(fractions(w), [71], 'its BYE ends that one');
});

t.test('a BYE of one that nobody knows ends none of several', async (t) => {
  const { w, group } = await reporting('203.0.113.1', '203.0.113.1');
  group.receiveRtcp(buildGoodbye(8, 'v'), { address: '203.0.113.1', port: 1 });
  t.equal(w.left.clients, 2);
});

t.test('RTCP keeps all sessions of its address alive; without it they end', async (t) => {
  const { w, group } = await reporting('203.0.113.1', '203.0.113.1', '203.0.113.2');
  for (let i = 0; i < 8; i++) {
    await w.advance(10_000, 1000);
    w.streams[0]!.packets++; // the source lives
    group.receiveRtcp(report(7, 0), { address: '203.0.113.1', port: 1 });
  }
  t.same(
    w.proxy.clients().map(({ address }) => address),
    ['203.0.113.1', '203.0.113.1'],
  );
  t.equal(group.sent.length, 0, 'the third went without a BYE to those who stay');
});

t.test('only the last who is sent away is told by a BYE to the group', async (t) => {
  const { w, group } = await reporting('203.0.113.1', '203.0.113.2');
  w.proxy.kick(1);
  t.equal(group.sent.length, 0);
  w.proxy.kick(2);
  t.match(group.sent, [{ to: { address: '239.1.0.0', port: group.rtcpPort } }]);
  await w.settle();
  t.same(w.left, NOTHING_LEFT);
});

t.test('a clip has ended and its source does not say so: each group is told once', async (t) => {
  const w = await world('239.1.0.0/29', { recorded: true, silent: true });
  const viewers = ['203.0.113.1', '203.0.113.2', '198.18.0.1'].map((address) => w.viewer(address));
  const sessions: string[] = [];
  for (const viewer of viewers) sessions.push(await watch(viewer));
  w.streams[0]!.received = {
    ...{ baseSeq: 1000, received: 90, jitter: 0, timestamp: 0 },
    ...{ ssrc: SSRC, extendedMaxSeq: 1099, arrivalNs: w.nowNs },
  };
  const [, , east, west] = w.pairs;
  while (w.proxy.streams()[0]!.state === 'playing') {
    t.same([east!.sent, west!.sent], [[], []], 'not before');
    for (const [i, viewer] of viewers.entries())
      await viewer.ask('GET_PARAMETER', `${PROXY}/x/`, { Session: sessions[i] });
    await w.advance(5000, 500);
  }
  t.match(east!.sent, [{ to: { address: '239.1.0.0', port: east!.rtcpPort } }]);
  t.match(west!.sent, [{ to: { address: '239.1.0.1', port: west!.rtcpPort } }]);
  t.same([east!.sent.length, west!.sent.length, w.left.clients], [1, 1, 3]);
});

// ---- from the source ------------------------------------------------------------------------------------------

const SOURCE_GROUP = 'destination=239.9.9.9;port=7000-7001;ttl=3';

/** Refuses unicast, or (`insists`) answers it with multicast. */
function multicastOnly(transport = SOURCE_GROUP, insists = false): SourceOptions {
  return {
    answers: {
      SETUP: ({ headers }) =>
        insists || headers.get('Transport')!.includes('multicast')
          ? response(200, [
              ['Transport', `RTP/AVP;multicast;${transport}`],
              ['Session', SOURCE_SESSION],
            ])
          : response(461),
    },
  };
}

const UNICAST = 'RTP/AVP;unicast;client_port=5000-5001';

async function joined(t: Test, options: SourceOptions) {
  const w = await FakeWorld.start({ script: fakeSource(options) });
  const viewer = w.viewer();
  t.equal((await setUp(viewer, 'v', UNICAST)).status, 200);
  return { w, viewer };
}

t.test('a source that refuses unicast is asked for multicast', async (t) => {
  const { w, viewer } = await joined(t, multicastOnly());
  t.same(
    w.source.requests
      .filter(({ method }) => method === 'SETUP')
      .map(({ headers }) => headers.get('Transport')),
    ['RTP/AVP;unicast;client_port=20000-20001', 'RTP/AVP;multicast'],
  );
  const [offered, downstream, group] = w.pairs;
  t.match(group!.multicast, {
    ...{ group: '239.9.9.9', rtpPort: 7000, rtcpPort: 7001, ttl: 3 },
    ...{ source: '192.0.2.1', localAddress: '192.0.2.2' },
  });
  t.notOk(offered!.open);
  t.match(w.streams[0]!.spec, {
    localAddress: '239.9.9.9',
    source: { address: '192.0.2.1', rtpPort: 0, rtcpPort: 0 },
    upstream: group,
    downstream,
  });
  await w.advance(8000);
  t.match(group!.sent, [{ to: { address: '239.9.9.9', port: 7001 } }], 'reports go to the group');
  viewer.close();
  await w.settle();
  t.same(w.left, NOTHING_LEFT);
});

t.test('some answer with multicast at once, and name the group in the description only', async (t) => {
  const insisting = await joined(t, multicastOnly('destination=239.9.9.9;port=7000;source=192.0.2.77', true));
  t.match(insisting.w.pairs[2]!.multicast, { rtcpPort: 7001, source: '192.0.2.77', ttl: 16 });
  const sdp = ['v=0', 'o=- 7 1 IN IP4 192.0.2.1', 's=t', 'c=IN IP4 239.8.8.8/3', 't=0 0'];
  const media = ['a=source-filter: incl IN IP4 * 192.0.2.1', 'm=video 6500 RTP/AVP 96', 'a=control:v', ''];
  const DESCRIBE = () =>
    response(200, [['Content-Type', 'application/sdp']], Buffer.from([...sdp, ...media].join('\r\n')));
  const { answers } = multicastOnly('ttl=3');
  const described = await joined(t, { answers: { ...answers, DESCRIBE } });
  t.match(described.w.pairs[2]!.multicast, { group: '239.8.8.8', rtpPort: 6500, rtcpPort: 6501 });
  const seen = await described.viewer.ask('DESCRIBE', `${PROXY}/x`);
  t.notMatch(
    seen.body.toString(),
    /source-filter|239\.8/,
    'viewers see neither the group nor who may send to it',
  );
});

t.test('what cannot be joined is an error, and nothing is left of it', async (t) => {
  const cases: [transport: string, status: number][] = [
    ['destination=192.0.2.5;port=7000-7001', 502],
    ['destination=224.0.0.5;port=7000-7001', 502],
    ['destination=239.9.9.9', 200], // the port is in the description
    ['port=7000-7001', 502],
    ['destination=239.9.9.9;port=65535', 502],
  ];
  for (const [transport, status] of cases) {
    const w = await FakeWorld.start({ script: fakeSource(multicastOnly(transport)) });
    const viewer = w.viewer();
    t.equal((await setUp(viewer, 'v', UNICAST)).status, status, transport);
    viewer.close();
    await w.settle();
    t.same(w.left, NOTHING_LEFT);
  }
  const w = await FakeWorld.start({ script: fakeSource({ answers: { SETUP: () => response(461) } }) });
  t.equal((await setUp(w.viewer(), 'v', UNICAST)).status, 461, 'it offers neither');
  await w.advance(11_000, 1000); // the connection is kept for a while
  t.same(w.left, NOTHING_LEFT);
});
