// SPDX-License-Identifier: Apache-2.0
// Interleaved viewers as the stories see them: which transport is chosen, whose channels are whose, what `$` frames mean,
// and what ends such a session.
import t from 'tap';
import { buildGoodbye, buildReceiverReport } from '../../../src/control/rtcp/build.js';
import { parseCompound } from '../../../src/control/rtcp/compound.js';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, NOTHING_LEFT, PROXY, type FakeLink } from '../../fixtures/fake-world.js';

const V = `${PROXY}/x/v`;
const A = `${PROXY}/x/a`;
const SSRC = 0xabcdef01;

const start = (limits = {}) => FakeWorld.start({ script: fakeSource(), limits });

async function setUp(viewer: FakeLink, Transport: string, url = V, Session?: string) {
  const { status, headers } = await viewer.ask('SETUP', url, { Transport, Session });
  return {
    status,
    transport: headers.get('Transport')?.replace(/;ssrc=\w+$/, ''),
    Session: headers.get('Session')?.split(';')[0],
  };
}

async function watch(viewer: FakeLink): Promise<string> {
  const { Session } = await setUp(viewer, 'RTP/AVP/TCP;unicast;interleaved=0-1');
  await viewer.ask('PLAY', `${PROXY}/x/`, { Session });
  return Session!;
}

t.test('the first transport that works is taken', async (t) => {
  const world = await start();
  const neighbour = world.viewer('203.0.113.50', 1000);
  await setUp(neighbour, 'RTP/AVP;unicast;client_port=5000-5001');
  const cases: [offer: string, answer: string | undefined][] = [
    ['RTP/AVP/TCP;unicast;interleaved=2-3', 'RTP/AVP/TCP;unicast;interleaved=2-3'],
    ['RTP/AVP/TCP;interleaved=6-9;mode=PLAY', 'RTP/AVP/TCP;unicast;interleaved=6-9'],
    ['RTP/AVP/TCP', 'RTP/AVP/TCP;unicast;interleaved=0-1'],
    ['RTP/AVP/TCP;interleaved=4', 'RTP/AVP/TCP;unicast;interleaved=4-5'],
    ['RTP/AVP/TCP;interleaved=4-4', 'RTP/AVP/TCP;unicast;interleaved=0-1'],
    ['RTP/AVP/TCP;interleaved=255', 'RTP/AVP/TCP;unicast;interleaved=0-1'],
    ['RTP/AVP/TCP;interleaved=0-256,RTP/AVP/TCP;interleaved=8-9', 'RTP/AVP/TCP;unicast;interleaved=8-9'],
    [
      'RTP/AVP/TCP;unicast;interleaved=0-1,RTP/AVP;unicast;client_port=6000-6001',
      'RTP/AVP/TCP;unicast;interleaved=0-1',
    ],
    [
      'RTP/AVP;unicast;client_port=5000-5001,RTP/AVP/TCP;interleaved=0-1',
      'RTP/AVP/TCP;unicast;interleaved=0-1',
    ],
    ['RTP/AVP;multicast,RTP/AVP;unicast,RTP/AVP/TCP', 'RTP/AVP/TCP;unicast;interleaved=0-1'],
    ['RTP/SAVP/TCP;interleaved=0-1', undefined],
    ['RTP/AVP/SCTP;interleaved=0-1', undefined],
    ['RTP/AVP/TCP;multicast;interleaved=0-1', undefined],
    ['RTP/AVP/TCP;interleaved=0-1;mode=RECORD', undefined],
    ['RTP/AVP;unicast;client_port=5000-5001', undefined],
  ];
  for (const [i, [offer, answer]] of cases.entries()) {
    const viewer = world.viewer('203.0.113.50', 2000 + i); // the address of who has ports 5000 and 5001
    const { status, transport } = await setUp(viewer, offer);
    t.equal(status, answer ? 200 : 461, offer);
    t.equal(transport, answer, offer);
  }
  await world.proxy.close();
});

t.test('channels belong to a connection: two tracks never share one, and they are given back', async (t) => {
  const world = await start();
  const viewer = world.viewer();
  const video = await setUp(viewer, 'RTP/AVP/TCP;interleaved=0-1');
  const audio = await setUp(viewer, 'RTP/AVP/TCP;interleaved=1-2', A, video.Session);
  t.equal(audio.transport, 'RTP/AVP/TCP;unicast;interleaved=2-3', 'one of them is in use');
  const again = await setUp(viewer, 'RTP/AVP/TCP;interleaved=1-2', V, video.Session);
  t.equal(again.transport, 'RTP/AVP/TCP;unicast;interleaved=0-1', 'its own may be had again, the other not');
  const other = await setUp(world.viewer(), 'RTP/AVP/TCP;interleaved=0-1');
  t.equal(other.transport, 'RTP/AVP/TCP;unicast;interleaved=0-1', 'of another connection');
  await viewer.ask('PLAY', `${PROXY}/x/`, { Session: video.Session });
  t.match(world.proxy.clients()[0]!.tracks, [
    { transport: 'tcp', rtpPort: 0, rtcpPort: 1, group: null, queue: { bytes: 0, picturesDropped: 0 } },
    { transport: 'tcp', rtpPort: 2, rtcpPort: 3 },
  ]);
  t.match(
    [...world.streams[0]!.viewers.values()],
    [{ rtpPort: 0, rtcpPort: 1, interleaved: { sink: viewer } }],
  );
  await viewer.ask('TEARDOWN', `${PROXY}/x/`, { Session: video.Session });
  const after = await setUp(viewer, 'RTP/AVP/TCP;interleaved=1-2');
  t.equal(after.transport, 'RTP/AVP/TCP;unicast;interleaved=1-2');
  await world.proxy.close();
  await world.settle();
  t.same({ ...world.left, deadlines: 0 }, NOTHING_LEFT);
});

t.test('no channels left: the next transport, or 461', async (t) => {
  const world = await start({ sessionsPerConnection: 200 });
  const viewer = world.viewer();
  for (let i = 0; i < 128; i++) t.equal((await setUp(viewer, 'RTP/AVP/TCP')).status, 200);
  t.equal((await setUp(viewer, 'RTP/AVP/TCP')).status, 461);
  const { transport } = await setUp(viewer, 'RTP/AVP/TCP,RTP/AVP;unicast;client_port=5000-5001');
  t.match(transport, /^RTP\/AVP;unicast;client_port=5000-5001/);
  await world.proxy.close();
});

t.test('frames of the viewer: reports count on the RTCP channel, everything else is counted', async (t) => {
  const world = await start();
  const viewer = world.viewer();
  await watch(viewer);
  const stream = world.streams[0]!;
  stream.received = {
    ...{ ssrc: SSRC, extendedMaxSeq: 9, baseSeq: 1, received: 9, jitter: 0, timestamp: 0 },
    arrivalNs: world.nowNs,
  };
  const block = { ssrc: SSRC, fraction: 64, cumulative: 3, extendedMaxSeq: 9, jitter: 900, lsr: 0, dlsr: 0 };
  const report = buildReceiverReport(1, 'v', [block]);
  viewer.frame(1, report);
  t.match(stream.losses, [{ fraction: 64 }]);
  t.match(world.proxy.clients()[0]!.tracks[0]!.loss, { fraction: 0.25 });
  viewer.frame(0, report);
  viewer.frame(7, report);
  viewer.frame(1, Buffer.alloc(0));
  viewer.frame(1, report.subarray(0, 9));
  world.viewer().frame(1, report);
  t.equal(stream.losses.length, 1);
  t.match(world.proxy.status().refused, {
    'interleaved-rtp-from-viewer': 1,
    'interleaved-unknown-channel': 2,
  });
  const malformed = Object.entries(world.proxy.status().refused).filter(([name]) =>
    name.startsWith('viewer-rtcp-'),
  );
  t.equal(
    malformed.reduce((sum, [, count]) => sum + count, 0),
    2,
  );
  viewer.frame(1, buildGoodbye(1, 'v'));
  t.same(world.proxy.clients(), [], 'BYE ends it');
  await world.proxy.close();
});

t.test('the session ends with the connection that carries it, whoever else has used it', async (t) => {
  const world = await start();
  const viewer = world.viewer('203.0.113.9', 1);
  const Session = await watch(viewer);
  const second = world.viewer('203.0.113.9', 2);
  t.equal((await second.ask('GET_PARAMETER', `${PROXY}/x/`, { Session })).status, 200);
  viewer.close();
  await world.settle();
  t.same(world.proxy.clients(), []);
  await world.advance(100);
  t.equal(world.left.copies, 0);
  await world.proxy.close();
});

t.test('who reads is alive, whatever it says; who neither reads nor speaks is not', async (t) => {
  const world = await start();
  const viewer = world.viewer();
  await watch(viewer);
  for (let i = 0; i < 5; i++) {
    viewer.taken += 1000;
    await world.advance(50_000, 5000);
    world.streams[0]!.packets++;
  }
  t.equal(world.proxy.clients().length, 1);
  for (let i = 0; i < 5; i++) {
    world.streams[0]!.packets++;
    await world.advance(25_000, 5000);
  }
  t.same(world.proxy.clients(), []);
  await world.proxy.close();
});

t.test('who is sent away gets a BYE on its RTCP channel, then the end of its connection', async (t) => {
  const world = await start();
  const viewer = world.viewer();
  await watch(viewer);
  world.proxy.kick(1);
  t.equal(viewer.frames.length, 1);
  const [frame] = viewer.frames;
  t.same([...frame!.subarray(0, 2)], [0x24, 1]);
  t.equal(frame!.readUInt16BE(2), frame!.length - 4);
  const compound = parseCompound(frame!.subarray(4));
  t.ok(compound.ok && compound.packets.some(({ kind }) => kind === 'bye'));
  t.equal(viewer.open, false);
  await world.proxy.close();
});

t.test('a slow viewer is told in the log now and then, and counted each time', async (t) => {
  const world = await start();
  const viewer = world.viewer();
  await watch(viewer);
  const [spec] = world.streams[0]!.viewers.values();
  t.equal(spec!.interleaved!.queueBytes, world.options.limits.interleavedBytes);
  const slow = () => world.logged.filter((text) => text.startsWith('the viewer is too slow')).length;
  for (const begins of [true, false, true, false]) spec!.interleaved!.dropping(begins);
  t.equal(slow(), 1);
  await world.advance(10_000, 1000);
  spec!.interleaved!.dropping(true);
  t.equal(slow(), 2);
  t.match(world.proxy.status().refused, { 'viewer-too-slow': 3 });
  await world.proxy.close();
});
