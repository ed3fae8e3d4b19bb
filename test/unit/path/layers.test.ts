// SPDX-License-Identifier: Apache-2.0
// Story 2 to its end: a receiver report becomes an allowance in the datapath, by the policy of the path; and so does a full
// interface, without any report.
import t from 'tap';
import type { PathSettings } from '../../../src/control/config/path-config.js';
import { quickTable } from '../../../src/control/config/quick.js';
import { buildExtendedReport, buildReceiverReport } from '../../../src/control/rtcp/build.js';
import { parseCompound } from '../../../src/control/rtcp/compound.js';
import type { ReferenceAnswer } from '../../../src/control/rtcp/extended.js';
import { parseRtspUrl } from '../../../src/control/rtsp/url.js';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, PROXY, SOURCE, type FakeLink } from '../../fixtures/fake-world.js';

const SSRC = 0xabcdef01;
/** Cumulative 300, 400 ... 1100 kbit/s. */
const AVERAGES = [300, 100, 100, 100, 200, 100, 100, 100].map((kbit) => kbit * 125);
const RTP_PORT = 40_000;

async function watching(
  settings: Partial<PathSettings>,
  Transport = `RTP/AVP;unicast;client_port=40000-40001`,
) {
  const world = await FakeWorld.start({ script: fakeSource(), settings });
  const viewer = world.viewer();
  const { headers } = await viewer.ask('SETUP', `${PROXY}/x/v`, { Transport });
  const session = { Session: headers.get('Session')!.split(';')[0] };
  const stream = world.streams[0]!;
  stream.rates = { notion: 'dependency', averages: AVERAGES };
  await world.advance(1100); // layers are looked for once a second
  await viewer.ask('PLAY', `${PROXY}/x/`, session);
  stream.received = {
    ...{ ssrc: SSRC, extendedMaxSeq: 1099, baseSeq: 1000, received: 90, jitter: 45, timestamp: 0 },
    arrivalNs: world.nowNs,
  };
  return { world, viewer, stream, downstream: world.pairs[1]!, session };
}

type Watching = Awaited<ReturnType<typeof watching>>;

/** Five seconds of so many packets of 500 bytes pass, then it reports so many lost in all. */
async function report({ world, viewer, stream, downstream }: Watching, packets: number, cumulative: number) {
  await world.advance(5000);
  stream.sent = {
    ...stream.sent,
    packets: stream.sent.packets + packets,
    bytes: stream.sent.bytes + 500 * packets,
  };
  const block = { ...{ ssrc: SSRC, fraction: 0, cumulative, extendedMaxSeq: 0, jitter: 0, lsr: 0, dlsr: 0 } };
  downstream.receiveRtcp(buildReceiverReport(1, 'v', [block]), rtcpOf(viewer));
}

const rtcpOf = (viewer: FakeLink) => ({ address: viewer.remote.address, port: RTP_PORT + 1 });
const allowanceOf = ({ stream }: Watching) => [...stream.allowances.values()].at(-1);
const rowOf = ({ world }: Watching) => world.proxy.clients()[0]!.tracks[0]!.layers;

t.test('thesis: one layer per report, and what was left out counts only where it shows', async (t) => {
  const w = await watching({ layerPolicy: 'thesis', layerRewrite: false });
  t.equal([...w.stream.viewers.values()][0]!.rewrite, false);
  t.match(rowOf(w), { policy: 'thesis', allowance: 7, wanted: 7, bandwidth: null, changes: 0 });
  await report(w, 1000, 400); // 500 000 B in 5 s, 40 % of them lost: 60 000 B/s
  t.equal(allowanceOf(w), 6);
  t.match(rowOf(w), { allowance: 6, bandwidth: 480_000, changes: 1 });
  w.stream.sent.thinned = 500;
  await report(w, 1000, 900); // 500 more are missing, just those that were left out
  t.match(rowOf(w), { allowance: 5, bandwidth: 800_000, thinned: 500 });
  await w.world.proxy.close();
});

t.test('aimd is what there is unless said otherwise; a reload may say otherwise', async (t) => {
  const w = await watching({});
  t.equal([...w.stream.viewers.values()][0]!.rewrite, true);
  w.stream.sent.bytes = 700;
  await report(w, 1375, 550); // 1.1 Mbit/s, 40 % lost
  t.match(rowOf(w), { policy: 'aimd', allowance: 2, wanted: 2 });
  t.equal(allowanceOf(w), 2);
  const settings = { sourceHold: 0, sourceTransport: 'udp', layerPolicy: 'off' } as const;
  w.world.proxy.reload(quickTable(parseRtspUrl(SOURCE), settings));
  await w.world.advance(1000);
  t.match(rowOf(w), { policy: 'off', allowance: 7 });
  t.equal(allowanceOf(w), 7);
  await w.world.proxy.close();
});

t.test('nobody is thinned in a stream without layers, nor by reports that come too fast', async (t) => {
  const w = await watching({});
  w.stream.rates = { notion: undefined, averages: AVERAGES };
  await report(w, 1375, 1000);
  t.equal(allowanceOf(w), 7);
  t.equal(rowOf(w), null);
  w.stream.rates = { notion: 'temporal', averages: AVERAGES };
  const block = {
    ssrc: SSRC,
    fraction: 255,
    cumulative: 2000,
    extendedMaxSeq: 0,
    jitter: 0,
    lsr: 0,
    dlsr: 0,
  };
  for (let i = 0; i < 20; i++)
    w.downstream.receiveRtcp(buildReceiverReport(1, 'v', [block]), rtcpOf(w.viewer));
  t.equal(allowanceOf(w), 7);
  await w.world.proxy.close();
});

t.test('after a pause the first report only says what the viewer counts from', async (t) => {
  const w = await watching({});
  await report(w, 1375, 0);
  await w.viewer.ask('PAUSE', `${PROXY}/x/`, w.session);
  await w.world.advance(1000);
  await w.viewer.ask('PLAY', `${PROXY}/x/`, w.session);
  await report(w, 1375, 5000); // it takes the pause for loss
  t.equal(rowOf(w)!.allowance, 7);
  await report(w, 1375, 5550);
  t.equal(rowOf(w)!.allowance, 2);
  await w.world.proxy.close();
});

t.test('so it does after a pause before any report', async (t) => {
  const w = await watching({});
  await w.world.advance(3000);
  await w.viewer.ask('PAUSE', `${PROXY}/x/`, w.session);
  await w.world.advance(1000);
  await w.viewer.ask('PLAY', `${PROXY}/x/`, w.session);
  await report(w, 1375, 275);
  t.equal(rowOf(w)!.allowance, 7);
  await w.world.proxy.close();
});

t.test(
  'little loss over a long way: without another the round trip is that of extended reports',
  async (t) => {
    for (const roundTripMs of [50, 1000]) {
      const w = await watching({});
      const { world, viewer, downstream } = w;
      const extended = (answers: readonly ReferenceAnswer[] = []) =>
        downstream.receiveRtcp(
          Buffer.concat([buildReceiverReport(1, 'v'), buildExtendedReport(1, 0n, answers)]),
          rtcpOf(viewer),
        );
      extended();
      const answer = parseCompound(downstream.sent[0]!.packet);
      const xr = answer.ok ? answer.packets.find(({ kind }) => kind === 'xr') : undefined;
      if (xr?.kind !== 'xr' || xr.blocks[0]?.kind !== 'reference-time') throw new Error('no reference time');
      await world.advance(roundTripMs, 50);
      extended([{ ssrc: xr.ssrc, lrr: xr.blocks[0].ntpMiddle, dlrr: 0 }]);
      await report(w, 1375, 12);
      await report(w, 1375, 24);
      t.equal(allowanceOf(w), roundTripMs === 50 ? 7 : 0, `${roundTripMs} ms: no more than TCP would have`);
      await world.proxy.close();
    }
  },
);

/** Three seconds in which packets wait at our own interface, which carries 60 000 B/s. */
async function fillInterface({ world, stream }: Watching) {
  for (let i = 0; i < 15; i++) {
    stream.packets += 54;
    stream.waiting = Math.min(190, 40 * i);
    stream.sent = { ...stream.sent, bytes: stream.sent.bytes + 12_000 };
    await world.advance(200);
  }
}

/** Three seconds in which packets wait in the viewer's connection, which carries 50 000 B/s. */
async function fillConnection({ world, viewer, stream }: Watching) {
  for (let i = 0; i < 15; i++) {
    viewer.queued = 20_000 * i;
    stream.sent = { ...stream.sent, bytes: stream.sent.bytes + 30_000 };
    await world.advance(200);
  }
}

t.test('packets that wait at our own interface: all are thinned at once, without a report', async (t) => {
  const w = await watching({});
  await fillInterface(w);
  const { allowance, wanted } = rowOf(w)!;
  t.equal(wanted, 7);
  t.ok(allowance < 2, `${allowance}: less than it carries, until the queue is gone`);
  w.stream.waiting = 0;
  for (let i = 0; i < 300; i++) {
    w.stream.packets += 54;
    if (i % 100 === 0) await w.viewer.ask('GET_PARAMETER', `${PROXY}/x/`, w.session);
    await w.world.advance(200);
  }
  t.equal(rowOf(w)!.allowance, 7);
  await w.world.proxy.close();
});

t.test('an interleaved viewer whose connection is full gets fewer layers, then all again', async (t) => {
  const w = await watching({}, 'RTP/AVP/TCP;unicast;interleaved=0-1');
  await fillConnection(w);
  t.ok(rowOf(w)!.allowance < 2, `${rowOf(w)!.allowance}`);
  w.viewer.queued = 0;
  for (let i = 0; i < 4; i++) {
    await w.viewer.ask('GET_PARAMETER', `${PROXY}/x/`, w.session);
    await w.world.advance(15_000, 200);
  }
  t.equal(rowOf(w)!.allowance, 7);
  await w.world.proxy.close();
});

t.test('what was full before a pause limits nobody after it, until it is full again', async (t) => {
  const ways = [
    { Transport: 'RTP/AVP;unicast;client_port=40000-40001', fill: fillInterface },
    { Transport: 'RTP/AVP/TCP;unicast;interleaved=0-1', fill: fillConnection },
  ];
  for (const { Transport, fill } of ways) {
    const w = await watching({}, Transport);
    await fill(w);
    const { stream, viewer, world } = w;
    t.ok(allowanceOf(w)! < 2);
    await viewer.ask('PAUSE', `${PROXY}/x/`, w.session);
    stream.waiting = viewer.queued = 0;
    await world.advance(30_000, 200);
    await viewer.ask('PLAY', `${PROXY}/x/`, w.session);
    t.equal(allowanceOf(w), 7, Transport);
    await fill(w);
    t.ok(allowanceOf(w)! < 2, Transport);
    await w.world.proxy.close();
  }
});
