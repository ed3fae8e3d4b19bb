// SPDX-License-Identifier: Apache-2.0
// Story 2, and RTCP between us and the source: whose reports count, what they become, what we report ourselves.
import t from 'tap';
import {
  buildExtendedReport,
  buildGoodbye,
  buildReceiverReport,
  buildSenderReport,
} from '../../../src/control/rtcp/build.js';
import { parseCompound } from '../../../src/control/rtcp/compound.js';
import { ntpFromUnixNs, ntpMiddle } from '../../../src/control/rtcp/ntp.js';
import { response } from '../../../src/control/rtsp/message.js';
import { fakeSource, type SourceOptions } from '../../fixtures/fake-source.js';
import { FakeWorld, NOTHING_LEFT, PROXY, type FakeLink } from '../../fixtures/fake-world.js';

const SSRC = 0xabcdef01;
const VIEWER_SSRC = 0x11111111;

async function watching(options: SourceOptions = {}) {
  const world = await FakeWorld.start({ script: fakeSource(options) });
  const viewer = world.viewer();
  await watch(viewer);
  const [upstream, downstream] = world.pairs;
  const [stream] = world.streams;
  stream!.received = {
    ssrc: SSRC,
    extendedMaxSeq: 1099,
    baseSeq: 1000,
    received: 90,
    jitter: 45,
    timestamp: 0,
    arrivalNs: world.nowNs,
  };
  return { world, viewer, upstream: upstream!, downstream: downstream!, stream: stream! };
}

async function watch(viewer: FakeLink, rtp = 40_000): Promise<void> {
  const Transport = `RTP/AVP;unicast;client_port=${rtp}-${rtp + 1}`;
  const { headers } = await viewer.ask('SETUP', `${PROXY}/x/v`, { Transport });
  await viewer.ask('PLAY', `${PROXY}/x/`, { Session: headers.get('Session')!.split(';')[0] });
}

const block = (more: object = {}) => ({
  ssrc: SSRC,
  fraction: 64,
  cumulative: -3,
  extendedMaxSeq: 1099,
  jitter: 900,
  lsr: 0,
  dlsr: 0,
  ...more,
});

t.test('a receiver report becomes loss, jitter and round trip, and a command to the datapath', async (t) => {
  const { world, viewer, downstream, stream } = await watching();
  t.equal(world.proxy.clients()[0]!.tracks[0]!.loss, null);
  const from = { address: viewer.remote.address, port: 40_001 };
  stream.senderReports.set(0x1234, world.nowNs - 250_000_000n);
  downstream.receiveRtcp(buildReceiverReport(VIEWER_SSRC, 'v', [block({ lsr: 0x1234, dlsr: 13107 })]), from);
  t.same(stream.losses, [{ fraction: 64, cumulative: -3, jitter: 900 }]);
  const loss = world.proxy.clients()[0]!.tracks[0]!.loss!;
  t.match(loss, { fraction: 0.25, cumulative: -3, jitterMs: 10 });
  t.ok(Math.abs(loss.roundTripMs! - 50) < 0.1, '250 ms since the report, of which the viewer held it 200');
  downstream.receiveRtcp(buildReceiverReport(VIEWER_SSRC, 'v', [block({ fraction: 0, lsr: 0x999 })]), from);
  t.match(world.proxy.clients()[0]!.tracks[0]!.loss, { fraction: 0, roundTripMs: null });
  t.match(world.proxy.clients()[0]!.tracks[0], { servedBy: 'userspace', packets: 7, bytes: 700, drops: 0 });
  await world.proxy.close();
});

t.test('reports count only from the viewer itself, whole, and about our source', async (t) => {
  const { world, viewer, downstream, upstream, stream } = await watching();
  const { address } = viewer.remote;
  const good = buildReceiverReport(VIEWER_SSRC, 'v', [block()]);
  downstream.receiveRtcp(good, { address: '198.51.100.200', port: 40_001 });
  downstream.receiveRtcp(good, { address, port: 40_000 }); // its RTP port
  downstream.receiveRtcp(good, { address, port: 40_003 });
  downstream.receiveRtcp(good.subarray(0, 20), { address, port: 40_001 });
  downstream.receiveRtcp(Buffer.alloc(0), { address, port: 40_001 });
  downstream.receiveRtcp(buildReceiverReport(VIEWER_SSRC, 'v', [block({ ssrc: 77 })]), {
    address,
    port: 40_001,
  });
  upstream.receiveRtcp(good, { address, port: 40_001 });
  t.same(stream.losses, []);
  t.match(world.proxy.status().refused, {
    'viewer-rtcp-from-stranger': 3,
    'viewer-rtcp-truncated': 2,
    'viewer-report-of-other-source': 1,
    'source-rtcp-from-stranger': 1,
  });
  await world.proxy.close();
});

t.test('another track of the same viewer has ports of its own', async (t) => {
  const { world, viewer, downstream, stream } = await watching();
  await viewer.ask('SETUP', `${PROXY}/x/a`, { Transport: 'RTP/AVP;unicast;client_port=40002-40003' });
  const rr = buildReceiverReport(VIEWER_SSRC, 'v', [block()]);
  downstream.receiveRtcp(rr, { address: viewer.remote.address, port: 40_003 });
  t.same(stream.losses, []);
  await world.proxy.close();
});

t.test('a viewer that says BYE on all its tracks has left', async (t) => {
  const { world, viewer, downstream } = await watching();
  downstream.receiveRtcp(buildGoodbye(VIEWER_SSRC, 'v'), { address: viewer.remote.address, port: 40_001 });
  t.same(world.proxy.clients(), []);
  await world.settle();
  t.equal(world.asked.at(-1), 'TEARDOWN');
  t.ok(viewer.open, 'its connection is its own');
  await world.proxy.close();
});

t.test('BYE on one track ends that track, the other plays on until it says so too', async (t) => {
  const world = await FakeWorld.start({ script: fakeSource() });
  const viewer = world.viewer();
  const set = async (track: string, rtp: number, Session?: string) => {
    const Transport = `RTP/AVP;unicast;client_port=${rtp}-${rtp + 1}`;
    const { headers } = await viewer.ask('SETUP', `${PROXY}/x/${track}`, { Transport, Session });
    return headers.get('Session')!.split(';')[0]!;
  };
  const Session = await set('v', 40_000);
  await set('a', 40_002, Session);
  await viewer.ask('PLAY', `${PROXY}/x/`, { Session });
  const [, video, , audio] = world.pairs;
  const { address } = viewer.remote;
  const served = () => world.proxy.clients()[0]?.tracks.map(({ servedBy }) => servedBy);
  t.same(served(), ['userspace', 'userspace']);
  audio!.receiveRtcp(buildGoodbye(VIEWER_SSRC, 'v'), { address, port: 40_003 });
  t.same(served(), ['userspace', null]);
  t.same(
    world.streams.map(({ viewers }) => viewers.size),
    [1, 0],
  );
  const { status } = await viewer.ask('PLAY', `${PROXY}/x/`, { Session });
  t.equal(status, 200);
  t.same(served(), ['userspace', 'userspace'], 'who plays again has come back');
  audio!.receiveRtcp(buildGoodbye(VIEWER_SSRC, 'v'), { address, port: 40_003 });
  video!.receiveRtcp(buildGoodbye(VIEWER_SSRC, 'v'), { address, port: 40_001 });
  t.same(world.proxy.clients(), []);
  await world.proxy.close();
});

t.test('BYE of another, or of who had chosen the SSRC of the source, ends nothing', async (t) => {
  const { world, viewer, downstream } = await watching();
  const from = { address: viewer.remote.address, port: 40_001 };
  const other = buildGoodbye(77, 'v');
  downstream.receiveRtcp(Buffer.concat([buildReceiverReport(VIEWER_SSRC, 'v'), other]), from);
  downstream.receiveRtcp(buildGoodbye(SSRC, 'v'), from);
  t.match(world.proxy.clients(), [{ state: 'playing' }]);
  t.match(world.proxy.status().refused, { 'viewer-bye-of-other': 2 });
  await world.proxy.close();
});

/** RR, and an XR of the viewer's with these blocks, hexadecimal. */
function extended(...blocks: string[]): Buffer {
  const body = Buffer.from(`11111111${blocks.join('')}`.replaceAll(' ', ''), 'hex');
  const header = Buffer.from([0x80, 207, 0, body.length / 4]);
  return Buffer.concat([buildReceiverReport(VIEWER_SSRC, 'v'), header, body]);
}

t.test('a reference time is answered with ours, and the answer to ours is the round trip', async (t) => {
  const { world, viewer, downstream } = await watching();
  const from = { address: viewer.remote.address, port: 40_001 };
  const time = extended('04000002 00000102 03040000');
  downstream.receiveRtcp(time, from);
  downstream.receiveRtcp(time, from);
  t.equal(downstream.sent.length, 1, 'not more often than twice a second');
  const { packet, to } = downstream.sent[0]!;
  t.same(to, from);
  const compound = parseCompound(packet);
  const [rr, sdes, xr] = compound.ok ? compound.packets : [];
  if (rr?.kind !== 'rr' || sdes?.kind !== 'sdes' || xr?.kind !== 'xr') throw new Error('not RR, SDES, XR');
  t.equal(xr.ssrc, rr.ssrc);
  t.not(xr.ssrc, SSRC, 'in our own name');
  const [ours, answers] = xr.blocks;
  t.match(answers, { answers: [{ ssrc: VIEWER_SSRC, lrr: 0x01020304, dlrr: 0 }] });
  if (ours?.kind !== 'reference-time') throw new Error('no reference time of ours');

  await world.advance(300);
  const hex = (n: number) => n.toString(16).padStart(8, '0');
  const held = hex(Math.round(0.2 * 65_536));
  downstream.receiveRtcp(extended(`05000003 ${hex(1)} ${hex(ours.ntpMiddle)} ${held}`), from);
  t.equal(world.proxy.clients()[0]!.tracks[0]!.extended, null, 'an answer to another is not ours');
  downstream.receiveRtcp(extended(`05000003 ${hex(xr.ssrc)} ${hex(ours.ntpMiddle)} ${held}`), from);
  const { roundTripMs } = world.proxy.clients()[0]!.tracks[0]!.extended!;
  t.ok(Math.abs(roundTripMs! - 100) < 0.1, '300 ms, of which the viewer held it 200');
  downstream.receiveRtcp(buildReceiverReport(VIEWER_SSRC, 'v', [block()]), from);
  t.equal(world.proxy.clients()[0]!.tracks[0]!.loss!.roundTripMs, roundTripMs, 'where there is no other');

  await world.advance(500);
  downstream.receiveRtcp(time, from);
  t.equal(downstream.sent.length, 2);
  await world.proxy.close();
});

t.test('sums and voice metrics are shown, about our source only', async (t) => {
  const { world, viewer, downstream } = await watching();
  const from = { address: viewer.remote.address, port: 40_001 };
  const summary = (ssrc: string) =>
    `06e00009 ${ssrc} 00010002 00000007 00000009 00000000 0000005a 0000002d 0000000f 00000000`;
  downstream.receiveRtcp(extended(summary('22222222')), from);
  t.equal(world.proxy.clients()[0]!.tracks[0]!.extended, null);
  const voice = '07000008 abcdef01 80400000 00000000 001e003c 00000000 507f297f 00000000 00000000';
  downstream.receiveRtcp(extended(summary('abcdef01'), voice), from);
  t.match(world.proxy.clients()[0]!.tracks[0]!.extended, {
    lost: 7,
    duplicates: 9,
    jitterMs: { min: 0, max: 1, mean: 0.5 },
    voice: { lossRate: 0.5, roundTripMs: 30, rFactor: 80, mosListening: 4.1, mosConversational: null },
  });
  t.equal(downstream.sent.length, 0);
  await world.proxy.close();
});

t.test('a source that answers reference times: the round trip to it', async (t) => {
  const { world, upstream } = await watching({ video: ['a=rtcp-xr:voip-metrics rcvr-rtt=all:10'] });
  await world.advance(8000);
  const compound = parseCompound(upstream.sent[0]!.packet);
  const [rr, , xr] = compound.ok ? compound.packets : [];
  if (rr?.kind !== 'rr' || xr?.kind !== 'xr') throw new Error('no XR');
  const [time] = xr.blocks;
  if (time?.kind !== 'reference-time') throw new Error('no reference time');
  t.equal(world.proxy.streams()[0]!.tracks[0]!.roundTripMs, null);
  const answer = buildExtendedReport(SSRC, 0n, [{ ssrc: rr.ssrc, lrr: time.ntpMiddle, dlrr: 0 }]);
  await world.advance(100);
  const sentNs = BigInt(time.ntpMiddle); // the middle of elapsed time, 1/65536 s
  const sinceMs = Number(((world.nowNs << 16n) / 1_000_000_000n - sentNs) & 0xffff_ffffn) / 65.536;
  upstream.receiveRtcp(Buffer.concat([buildReceiverReport(SSRC, 's'), answer]), {
    address: '192.0.2.1',
    port: 6001,
  });
  const { roundTripMs } = world.proxy.streams()[0]!.tracks[0]!;
  t.ok(Math.abs(roundTripMs! - sinceMs) < 1 && sinceMs >= 100, `${roundTripMs} ms`);
  await world.proxy.close();

  const plain = await watching();
  await plain.world.advance(8000);
  const first = parseCompound(plain.upstream.sent[0]!.packet);
  t.notOk(first.ok && first.packets.some(({ kind }) => kind === 'xr'), 'others are not asked');
  await plain.world.proxy.close();
});

for (const [name, Transport] of [
  ['RTCP-mux', 'RTP/AVP;unicast;client_port=40000;RTCP-mux'],
  ['one port twice', 'RTP/AVP;unicast;client_port=40000-40000,RTP/AVP;unicast;client_port=40000-40001'],
] as const)
  t.test(`a viewer that multiplexes RTCP with RTP: ${name}`, async (t) => {
    const world = await FakeWorld.start({ script: fakeSource() });
    const viewer = world.viewer();
    const { headers } = await viewer.ask('SETUP', `${PROXY}/x/v`, { Transport });
    const [, downstream] = world.pairs;
    const { rtpPort } = downstream!;
    t.match(
      headers.get('Transport'),
      `RTP/AVP;unicast;client_port=40000-40000;server_port=${rtpPort}-${rtpPort};`,
    );
    t.match(headers.get('Transport'), ';RTCP-mux');
    await viewer.ask('PLAY', `${PROXY}/x/`, { Session: headers.get('Session')!.split(';')[0] });
    t.match([...world.streams[0]!.viewers.values()], [{ rtpPort: 40_000, rtcpPort: 40_000 }]);
    world.streams[0]!.received = {
      ...{ ssrc: SSRC, extendedMaxSeq: 9, baseSeq: 1, received: 9, jitter: 0, timestamp: 0 },
      arrivalNs: world.nowNs,
    };
    const from = { address: viewer.remote.address, port: 40_000 };
    const report = buildReceiverReport(VIEWER_SSRC, 'v', [block()]);
    downstream!.receiveRtcp(report, from);
    downstream!.receiveRtp(report, { ...from, port: 40_001 });
    downstream!.receiveRtp(Buffer.from('80600001000000010000000100000000', 'hex'), from); // it opens its firewall
    t.same(world.streams[0]!.losses, []);
    t.match(world.proxy.status().refused, { 'viewer-rtcp-from-stranger': 2 });
    downstream!.receiveRtp(report, from);
    t.same(world.streams[0]!.losses, [{ fraction: 64, cumulative: -3, jitter: 900 }]);
    world.proxy.kick(world.proxy.clients()[0]!.id);
    await world.settle();
    t.equal(downstream!.sentFromRtp.length, 1, 'BYE goes the same way');
    t.same(downstream!.sent[0]!.to, from);
    await world.proxy.close();
  });

t.test('a viewer without it may not have its reports at the port for RTP', async (t) => {
  const { world, viewer, downstream, stream } = await watching();
  const report = buildReceiverReport(VIEWER_SSRC, 'v', [block()]);
  for (const port of [40_000, 40_001])
    downstream.receiveRtp(report, { address: viewer.remote.address, port });
  t.same(stream.losses, []);
  await world.proxy.close();
});

t.test(
  'a source that offers to multiplex is asked for it, and served without where it does not',
  async (t) => {
    const SETUP = ({ headers }: { headers: { get(name: string): string | undefined } }) =>
      response(200, [
        ['Transport', `${headers.get('Transport')!.split(',')[0]};server_port=6000`],
        ['Session', 's'],
      ]);
    const { world, upstream, stream } = await watching({ video: ['a=rtcp-mux'], answers: { SETUP } });
    const asked = world.source.requests.find(({ method }) => method === 'SETUP')!.headers.get('Transport')!;
    const { rtpPort: port } = upstream;
    t.equal(
      asked,
      `RTP/AVP;unicast;client_port=${port}-${port};RTCP-mux,RTP/AVP;unicast;client_port=${port}-${port + 1}`,
    );
    t.match(stream.spec, {
      source: { rtpPort: 6000, rtcpPort: 6000 },
      upstream: { rtpPort: port, rtcpPort: port },
    });
    await world.advance(8000);
    t.ok(upstream.sent.length > 0);
    t.equal(upstream.sent.length, upstream.sentFromRtp.length, 'our reports go from the port for RTP');
    t.same(upstream.sent[0]!.to, { address: '192.0.2.1', port: 6000 });
    const info = { ssrc: SSRC, ntp: 1n << 32n, rtpTimestamp: 1, packetCount: 1, octetCount: 1 };
    const before = upstream.sent.length;
    upstream.receiveRtp(buildSenderReport(info, 'source'), { address: '192.0.2.1', port: 6000 });
    await world.advance(8000);
    const compound = parseCompound(upstream.sent[before]!.packet);
    const [rr] = compound.ok ? compound.packets : [];
    t.match(rr, { blocks: [{ lsr: 0x10000 }] }, 'its sender report was heard there');
    await world.proxy.close();

    const refusing = await watching({
      video: ['a=rtcp-mux'],
      answers: {
        SETUP: ({ headers }) =>
          response(200, [
            ['Transport', `${headers.get('Transport')!.split(',')[1]};server_port=6000-6001`],
            ['Session', 's'],
          ]),
      },
    });
    t.match(refusing.stream.spec, {
      source: { rtpPort: 6000, rtcpPort: 6001 },
      upstream: { rtcpPort: 20_001 },
    });
    await refusing.world.proxy.close();
  },
);

t.test('our own reports to the source: regular, from the RTCP port, with what was counted', async (t) => {
  const { world, upstream, stream } = await watching();
  const ntp = ntpFromUnixNs(1_700_000_000_000_000_000n);
  const info = { ssrc: SSRC, ntp, rtpTimestamp: 1, packetCount: 1, octetCount: 1 };
  const report = () => buildSenderReport(info, 'source');
  for (let second = 0; second < 50; second++) {
    if (second === 20) stream.received = { ...stream.received!, extendedMaxSeq: 1199, received: 140 };
    stream.packets++;
    upstream.receiveRtcp(report(), { address: '192.0.2.1', port: 6001 });
    await world.advance(1000);
  }
  t.ok(upstream.sent.length >= 6 && upstream.sent.length <= 20, `${upstream.sent.length} in 50 seconds`);
  const blocks = upstream.sent.map(({ packet, to }) => {
    t.same(to, { address: '192.0.2.1', port: 6001 });
    const compound = parseCompound(packet);
    if (!compound.ok) throw new Error(compound.reason);
    const [rr, sdes] = compound.packets;
    if (rr?.kind !== 'rr' || sdes?.kind !== 'sdes') throw new Error('not RR and SDES');
    t.not(rr.ssrc, SSRC);
    t.match(sdes.chunks, [{ ssrc: rr.ssrc, cname: /^.{16}$/ }]);
    return rr.blocks[0]!;
  });
  t.match(blocks[0], {
    ssrc: SSRC,
    fraction: 25,
    cumulative: 10,
    extendedMaxSeq: 1099,
    jitter: 45,
    lsr: ntpMiddle(ntp),
  });
  t.ok(
    blocks.some(({ fraction }) => fraction === 128),
    'half of the hundred in between were lost',
  );
  t.match(blocks.at(-1), { fraction: 0, cumulative: 60 });
  t.ok(
    blocks.every(({ dlsr }) => dlsr <= 65_536 * 1.1),
    'a second at most since its last report',
  );
  t.match(world.proxy.streams()[0]!.tracks[0], {
    ssrc: 'abcdef01',
    lost: 60,
    jitterMs: 0.5,
    clockRate: 90_000,
  });
  await world.proxy.close();
  await world.settle();
  t.same({ ...world.left, deadlines: 0 }, NOTHING_LEFT);
});

t.test(
  'a source that does not tell its ports: reports go where its own come from, and until then nowhere',
  async (t) => {
    const SETUP = () =>
      response(200, [
        ['Transport', 'RTP/AVP;unicast;client_port=20000-20001'],
        ['Session', 's'],
      ]);
    const { world, upstream, stream } = await watching({ answers: { SETUP } });
    t.match(stream.spec.source, { address: '192.0.2.1', rtpPort: 0, rtcpPort: 0 });
    await world.advance(8000);
    t.same(upstream.sent, []);
    upstream.receiveRtcp(buildReceiverReport(SSRC, 's'), { address: '192.0.2.1', port: 7777 });
    await world.advance(8000);
    t.match(upstream.sent[0]!.to, { port: 7777 });
    await world.proxy.close();
  },
);

t.test('status', async (t) => {
  const { world } = await watching();
  t.match(world.proxy.status(), {
    engine: 'userspace',
    why: 'a test',
    listen: '0.0.0.0:8554',
    source: 'rtsp://source.example',
    viewers: 1,
    streams: 1,
    drops: { 'no-viewer': 3 },
    facts: { fake: 1 },
  });
  await world.proxy.close();
});
