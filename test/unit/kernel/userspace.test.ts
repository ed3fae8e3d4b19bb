// SPDX-License-Identifier: Apache-2.0
// The user-space engine on real loopback sockets: exact membership, exact counters, no strangers, RTCP.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { UserspaceDatapath } from '../../../src/control/kernel/userspace.js';
import { bindUdpPair } from '../../../src/control/net/udp-pair.js';
import { muxedPair } from '../../../src/control/path/muxed-pair.js';
import type { StreamHandle, UdpPair, ViewerHandle, ViewerSpec } from '../../../src/control/path/ports.js';
import { PortPairs } from '../../../src/control/state/port-pairs.js';
import { random } from '../../fixtures/random.js';

const LOCAL = '127.0.0.1';
const STRANGER = '127.0.0.2';
const SSRC = 0x01020304;
const pairs = new PortPairs({ first: 31300, last: 31599 });

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 1000 && !condition(); i++) await delay(5);
  if (!condition()) throw new Error(`not within 5 s: ${what}`);
}

function rtp(sequence: number, size = 40): Buffer {
  const packet = Buffer.alloc(size);
  packet.writeUInt8(0x80, 0);
  packet.writeUInt8(96, 1);
  packet.writeUInt16BE(sequence % 65536, 2);
  packet.writeUInt32BE(sequence * 3000, 4);
  packet.writeUInt32BE(SSRC, 8);
  return packet;
}

function senderReport(ntp: bigint): Buffer {
  const packet = Buffer.alloc(28);
  packet.writeUInt32BE(0x80c80006, 0);
  packet.writeUInt32BE(SSRC, 4);
  packet.writeBigUInt64BE(ntp, 8);
  return packet;
}

class Viewer {
  readonly rtp: number[] = [];
  readonly rtcp: Buffer[] = [];
  readonly from = new Set<number>();
  readonly pair: UdpPair;
  readonly spec: ViewerSpec;

  constructor(id: number, pair: UdpPair) {
    this.pair = pair;
    this.spec = { id, localAddress: LOCAL, address: LOCAL, rtpPort: pair.rtpPort, rtcpPort: pair.rtcpPort };
    pair.onRtp((packet, from) => {
      this.rtp.push(packet.readUInt16BE(2));
      this.from.add(from.port);
    });
    pair.onRtcp((packet, from) => {
      this.rtcp.push(packet);
      this.from.add(from.port);
    });
  }
}

interface Rig {
  readonly datapath: UserspaceDatapath;
  readonly source: UdpPair;
  readonly upstream: UdpPair;
  readonly downstream: UdpPair;
  readonly open: (ports?: { rtpPort: number; rtcpPort: number }) => Promise<StreamHandle>;
  readonly viewer: (id: number) => Promise<Viewer>;
  readonly drops: () => Record<string, number>;
  /** Sets the engine's clock, ns. */
  readonly clock: { ns: bigint };
}

async function rig(t: Test): Promise<Rig> {
  const bound: UdpPair[] = [];
  const bind = async (): Promise<UdpPair> => {
    const pair = await bindUdpPair(pairs, { address: LOCAL });
    bound.push(pair);
    return pair;
  };
  const clock = { ns: 0n };
  const datapath = new UserspaceDatapath({ monotonicNs: () => clock.ns });
  const [source, upstream, downstream] = [await bind(), await bind(), await bind()];
  t.teardown(async () => {
    await datapath.close();
    for (const pair of bound) pair.close();
  });
  return {
    datapath,
    source,
    upstream,
    downstream,
    clock,
    open: ({ rtpPort, rtcpPort } = source) =>
      datapath.open({
        name: '/camera video',
        localAddress: LOCAL,
        source: { address: LOCAL, rtpPort, rtcpPort },
        upstream,
        downstream,
        clockRate: 90000,
      }),
    viewer: async (id) => new Viewer(id, await bind()),
    drops: () =>
      Object.fromEntries(
        datapath
          .drops()
          .filter(({ count }) => count > 0)
          .map(({ reason, count }) => [reason, count]),
      ),
  };
}

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31);

t.test(`exact membership under random joins and leaves, seed ${seed}`, async (t) => {
  const below = random(seed);
  const r = await rig(t);
  const all = await Promise.all(Array.from({ length: 12 }, (_, i) => r.viewer(i + 1)));
  const expected = new Map(all.map((v) => [v, [] as number[]]));
  /** Undefined until add() has resolved, within the turn. */
  const members = new Map<Viewer, ViewerHandle | undefined>();
  const bytes = new Map<Viewer, number>();
  const got = new Map<Viewer, { packets: number; bytes: number }>(
    all.map((v) => [v, { packets: 0, bytes: 0 }]),
  );
  const left: [Viewer, ViewerHandle][] = [];
  let stream: StreamHandle;
  let joins = 0;

  // Registered before the engine's handler: what changes here, changes just before that packet is handled.
  r.upstream.onRtp((packet) => {
    for (let n = below(3); n > 0; n--) {
      const viewer = all[below(all.length)]!;
      const handle = members.get(viewer);
      if (handle) {
        handle.remove();
        members.delete(viewer);
        left.push([viewer, handle]);
      } else if (!members.has(viewer)) {
        // The engine adds before its promise resolves; the handle comes before the next packet does.
        joins++;
        void stream.add({ ...viewer.spec, id: 1000 + joins }).then((handle) => members.set(viewer, handle));
        members.set(viewer, undefined);
      }
    }
    for (const viewer of members.keys()) {
      expected.get(viewer)!.push(packet.readUInt16BE(2));
      bytes.set(viewer, (bytes.get(viewer) ?? 0) + packet.length);
    }
  });
  stream = await r.open();

  const PACKETS = 600;
  for (let sent = 0; sent < PACKETS;) {
    const burst = Math.min(1 + below(8), PACKETS - sent);
    for (let i = 0; i < burst; i++)
      r.source.sendRtp(rtp(sent++, 20 + below(1200)), { address: LOCAL, port: r.upstream.rtpPort });
    await until(() => stream.counters().packets === sent, `${sent} packets`);
  }
  const due = () => all.every((v) => v.rtp.length >= expected.get(v)!.length);
  await until(due, 'every copy');
  await delay(20);
  for (const v of all)
    t.strictSame(v.rtp, expected.get(v), `viewer ${v.spec.id}: what was its, once and in order`);
  for (const [viewer, handle] of [...left, ...members]) {
    const counters = handle!.counters();
    t.equal(counters.drops, 0);
    got.get(viewer)!.packets += counters.packets;
    got.get(viewer)!.bytes += counters.bytes;
  }
  for (const v of all)
    t.same(
      got.get(v),
      { packets: expected.get(v)!.length, bytes: bytes.get(v) ?? 0 },
      `counters of ${v.spec.id}`,
    );
  t.ok(joins > 50, `${joins} joins`);
  t.match(stream.reception(), { ssrc: SSRC, baseSeq: 0, extendedMaxSeq: PACKETS - 1, received: PACKETS });
  const unseen = r.drops()['no-viewer'] ?? 0;
  t.same(r.drops(), unseen ? { 'no-viewer': unseen } : {}, 'no other drops');
});

t.test('after remove() has returned nothing is sent, even in the same turn', async (t) => {
  const r = await rig(t);
  const stream = await r.open();
  const [a, b] = [await r.viewer(1), await r.viewer(2)];
  const [handleA] = [await stream.add(a.spec), await stream.add(b.spec)];
  // Registered after the engine's: the packet has just been forwarded.
  r.upstream.onRtp(() => handleA.remove());
  for (let i = 0; i < 5; i++) r.source.sendRtp(rtp(i), { address: LOCAL, port: r.upstream.rtpPort });
  await until(() => b.rtp.length === 5, 'five packets');
  await delay(20);
  t.same(a.rtp, [0], 'what was sent before is on its way at once, not queued behind the removal');
  t.match(handleA.counters(), { packets: 1, bytes: 40, rtcpPackets: 0, drops: 0, held: 0 });
  t.same([...b.from], [r.downstream.rtpPort], 'from our downstream RTP port');
});

t.test('only the source counts as the source', async (t) => {
  const r = await rig(t);
  const stream = await r.open();
  const v = await r.viewer(1);
  await stream.add(v.spec);
  const otherPort: Socket = createSocket('udp4').bind(0, LOCAL);
  const otherAddress: Socket = createSocket('udp4').bind(r.source.rtpPort, STRANGER);
  await Promise.all([once(otherPort, 'listening'), once(otherAddress, 'listening')]);
  t.teardown(() => [otherPort, otherAddress].forEach((s) => s.close()));
  for (const s of [otherPort, otherAddress]) {
    s.send(rtp(666), r.upstream.rtpPort, LOCAL);
    s.send(senderReport(5n << 32n), r.upstream.rtcpPort, LOCAL);
  }
  await until(() => r.drops()['not-source'] === 4, 'four refused');
  const malformed = [
    Buffer.alloc(0),
    rtp(1).subarray(0, 11),
    Buffer.alloc(40),
    Buffer.concat([Buffer.from([0x8f]), rtp(1).subarray(1, 40)]),
  ];
  for (const packet of malformed) r.source.sendRtp(packet, { address: LOCAL, port: r.upstream.rtpPort });
  for (const packet of [Buffer.alloc(4), senderReport(1n).subarray(0, 7), Buffer.alloc(28, 0x40)])
    r.source.sendRtcp(packet, { address: LOCAL, port: r.upstream.rtcpPort });
  await until(() => r.drops()['malformed'] === 7, 'seven malformed');
  r.source.sendRtp(rtp(7), { address: LOCAL, port: r.upstream.rtpPort });
  await until(() => v.rtp.length > 0, 'the source’s packet');
  t.same([v.rtp, v.rtcp], [[7], []], 'nothing else reached the viewer');
  t.same(r.drops(), { 'not-source': 4, malformed: 7 });
  t.same(stream.counters(), { packets: 1, bytes: 40, rtcpPackets: 0, refused: 0 });
});

t.test('port 0: any port of the source’s address', async (t) => {
  const r = await rig(t);
  const stream = await r.open({ rtpPort: 0, rtcpPort: 0 });
  const v = await r.viewer(1);
  await stream.add(v.spec);
  v.pair.sendRtp(rtp(3), { address: LOCAL, port: r.upstream.rtpPort });
  await until(() => v.rtp.length === 1, 'one packet');
  t.same(r.drops(), {});
});

t.test('RTCP: to every viewer and to us, and when it was sent on', async (t) => {
  const r = await rig(t);
  const stream = await r.open();
  const passedUp: Buffer[] = [];
  r.upstream.onRtcp((packet) => passedUp.push(packet));
  const to = { address: LOCAL, port: r.upstream.rtcpPort };
  r.source.sendRtcp(senderReport(1n << 32n), to);
  await until(() => passedUp.length === 1, 'the first, with nobody watching');
  const viewers = await Promise.all([1, 2, 3].map((id) => r.viewer(id)));
  const handles = await Promise.all(viewers.map((v) => stream.add(v.spec)));
  for (let i = 2n; i <= 9n; i++) {
    r.clock.ns = i * 1000n;
    r.source.sendRtcp(senderReport((i << 32n) | (i << 16n) | 0xffffn), to);
    await until(() => passedUp.length === Number(i), `report ${i}`);
  }
  await until(() => viewers.every((v) => v.rtcp.length === 8), 'eight reports each');
  for (const v of viewers) {
    t.same(v.rtcp, passedUp.slice(1), 'byte for byte');
    t.same([...v.from], [r.downstream.rtcpPort]);
  }
  await until(() => handles.every((h) => h.counters().rtcpPackets === 8), 'counted');
  t.same(
    handles.map((h) => h.counters().packets),
    [0, 0, 0],
  );
  t.equal(stream.senderReportSentNs(0x90009), 9000n);
  t.equal(stream.senderReportSentNs(0x20002), 2000n, 'the oldest of eight');
  t.equal(stream.senderReportSentNs(0x10000), undefined, 'the one before is forgotten');
  t.same(stream.counters(), { packets: 0, bytes: 0, rtcpPackets: 9, refused: 0 });
  t.same(r.drops(), {}, 'RTCP that nobody watches is not dropped: we have it');
});

t.test('RTP and RTCP on one port (RFC 5761): of the source, of one viewer and not of another', async (t) => {
  const r = await rig(t);
  const stream = await r.datapath.open({
    ...{ name: '/camera video', localAddress: LOCAL, downstream: r.downstream, clockRate: 90_000 },
    source: { address: LOCAL, rtpPort: r.source.rtpPort, rtcpPort: r.source.rtpPort },
    upstream: muxedPair(r.upstream),
  });
  const [muxed, plain] = [await r.viewer(1), await r.viewer(2)];
  await stream.add({ ...muxed.spec, rtcpPort: muxed.spec.rtpPort });
  await stream.add(plain.spec);
  const to = { address: LOCAL, port: r.upstream.rtpPort };
  r.source.sendRtp(senderReport(7n << 32n), to);
  r.source.sendRtp(rtp(9), to);
  r.source.sendRtcp(senderReport(8n << 32n), { ...to, port: r.upstream.rtcpPort });
  await until(() => muxed.rtp.length === 2 && plain.rtp.length + plain.rtcp.length === 2, 'two copies each');
  t.same(muxed.rtp, [6, 9], 'a report, whose length stands where RTP has its sequence number, and a packet');
  t.same([...muxed.from], [r.downstream.rtpPort], 'both from one port of ours');
  t.same([plain.rtp, plain.rtcp.length], [[9], 1]);
  t.match(stream.counters(), { packets: 1, rtcpPackets: 1 });
});

t.test('drops have names: nobody there, a copy too big, a stream that has ended', async (t) => {
  const r = await rig(t);
  const stream = await r.open();
  const to = { address: LOCAL, port: r.upstream.rtpPort };
  r.source.sendRtp(rtp(1), to);
  await until(() => r.drops()['no-viewer'] === 1, 'no viewer');
  const unreachable = await stream.add({
    id: 5,
    localAddress: LOCAL,
    address: '255.255.255.255',
    rtpPort: 9,
    rtcpPort: 9,
  });
  r.source.sendRtp(rtp(2), to);
  await until(() => unreachable.counters().drops === 1, 'a copy refused by the system');
  t.match(unreachable.counters(), { packets: 0, bytes: 0, rtcpPackets: 0, drops: 1, held: 0 });
  t.same(r.drops(), { 'no-viewer': 1, 'egress-error': 1 });
  t.match(r.datapath.facts(), { tracks: 1, 'viewers of all tracks': 1, 'sends outstanding': 0 });
  stream.close();
  stream.close();
  t.match(r.datapath.facts(), { tracks: 0, 'viewers of all tracks': 0 });
  r.source.sendRtp(rtp(3), to);
  await delay(30);
  t.equal(stream.counters().packets, 2, 'the count stays, nothing is added');
  t.equal(stream.reception(), undefined);
  t.equal(stream.senderReportSentNs(0), undefined);
  unreachable.remove();
  await t.rejects(
    stream.add({ id: 6, localAddress: LOCAL, address: LOCAL, rtpPort: 9, rtcpPort: 9 }),
    /has ended/,
  );
  t.ok(r.datapath.drops().length > 10, 'all reasons are listed');
});
