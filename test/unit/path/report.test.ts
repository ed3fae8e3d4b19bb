// SPDX-License-Identifier: Apache-2.0
// Story 2, and RTCP between us and the source: whose reports count, what they become, what we report ourselves.
import t from 'tap';
import { buildGoodbye, buildReceiverReport, buildSenderReport } from '../../../src/control/rtcp/build.js';
import { parseCompound } from '../../../src/control/rtcp/compound.js';
import { ntpFromUnixNs, ntpMiddle } from '../../../src/control/rtcp/ntp.js';
import { response } from '../../../src/control/rtsp/message.js';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, NOTHING_LEFT, PROXY } from '../../fixtures/fake-world.js';
import { block, SSRC, VIEWER_SSRC, watching } from '../../fixtures/watching.js';
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

t.test('of the blocks of one datagram that are about our source the last counts', async (t) => {
  const { world, viewer, downstream, stream } = await watching();
  const from = { address: viewer.remote.address, port: 40_001 };
  let asked = 0;
  const { received } = stream;
  stream.reception = () => (asked++, received);
  stream.senderReportSentNs = () => (asked++, undefined);
  const full = (ssrc: number, cumulative: number) =>
    buildReceiverReport(
      VIEWER_SSRC,
      'v',
      Array.from({ length: 31 }, () => block({ ssrc, cumulative, lsr: 0x1234 })),
    );
  const ours = Array.from({ length: 80 }, (_, i) => full(SSRC, i));
  downstream.receiveRtcp(Buffer.concat([...ours, full(77, 5)]), from);
  t.equal(stream.losses.length, 1);
  t.match(stream.losses[0], { cumulative: 79 });
  t.equal(asked, 2);
  t.match(world.proxy.status().refused, { 'viewer-report-of-other-source': 31 });
  await world.proxy.close();
});

t.test('nor is the datapath asked for each block of extended reports, or each BYE', async (t) => {
  const { world, viewer, downstream, stream } = await watching();
  const from = { address: viewer.remote.address, port: 40_001 };
  let asked = 0;
  const { received } = stream;
  stream.reception = () => (asked++, received);
  const voice = Buffer.from('0700000822222222'.padEnd(72, '0'), 'hex');
  const body = Buffer.concat([Buffer.from('11111111', 'hex'), ...Array.from({ length: 500 }, () => voice)]);
  const header = Buffer.from([0x80, 207, 0, 0]);
  header.writeUInt16BE(body.length / 4, 2);
  downstream.receiveRtcp(Buffer.concat([buildReceiverReport(SSRC, 'v'), header, body]), from);
  downstream.receiveRtcp(Buffer.concat(Array.from({ length: 500 }, () => buildGoodbye(SSRC, 'v'))), from);
  t.equal(asked, 3);
  t.equal(world.proxy.clients().length, 1);
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
