// SPDX-License-Identifier: Apache-2.0
// The TC engine with sockets at both ends, on one host: source, proxy and viewers are all on 127.0.0.1.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import pino from 'pino';
import t from 'tap';
import { familyOf } from '../../src/control/state/address.js';
import { ip } from '../fixtures/kernel-bench.js';
import { DROP_REASONS } from '../../src/control/kernel/drop-reasons.js';
import { listKernelState, listLeftovers } from '../../src/control/kernel/leftovers.js';
import { TcDatapath } from '../../src/control/kernel/tc.js';
import { bindUdpPair } from '../../src/control/net/udp-pair.js';
import type { StreamSpec, UdpPair } from '../../src/control/path/ports.js';
import { PortPairs } from '../../src/control/state/port-pairs.js';
import {
  AV1_FIRST,
  AV1_PLAIN,
  descriptor,
  DESCRIPTOR_ID,
  extendedRtp,
  extension,
  L1T3,
} from '../fixtures/descriptors.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { rtp, senderReport } from '../fixtures/packets.js';
import { PAYLOAD_TYPE } from '../fixtures/picture-cases.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const HOST = '127.0.0.1';
/** Of this host, each in a way of its own: no other device than the loopback may take packets to ::1. */
const HOSTS = [HOST, '::1', '2001:db8::10'];
const PORT = 8554;
const log = pino({ level: 'silent' });

async function bound(host = HOST): Promise<Socket & { got: Buffer[]; port: number }> {
  const socket = createSocket(familyOf(host) === 4 ? 'udp4' : 'udp6');
  socket.bind(0, host);
  await once(socket, 'listening');
  const got: Buffer[] = [];
  socket.on('message', (packet) => got.push(packet));
  return Object.assign(socket, { got, port: socket.address().port });
}

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** The source is at `host`. */
async function setUp(host = HOST, encoding?: StreamSpec['encoding']) {
  if (!skip) ip('address', 'replace', `${HOSTS[2]}/128`, 'dev', 'lo', 'nodad');
  const engine = await TcDatapath.open({ port: PORT, objects: 'dist/bpf', log });
  const pairs = new PortPairs();
  const [upstream, downstream] = [await bindUdpPair(pairs), await bindUdpPair(pairs)];
  const source = { rtp: await bound(host), rtcp: await bound(host) };
  const stream = await engine.open({
    name: '/test video',
    localAddress: host,
    source: { address: host, rtpPort: source.rtp.port, rtcpPort: source.rtcp.port },
    upstream,
    downstream,
    clockRate: 90000,
    encoding,
  });
  let ids = 1;
  const join = async (at = host) => {
    const sockets = { rtp: await bound(at), rtcp: await bound(at) };
    const viewer = await stream.add({
      id: ids++,
      localAddress: at,
      address: at,
      rtpPort: sockets.rtp.port,
      rtcpPort: sockets.rtcp.port,
    });
    return { ...sockets, viewer };
  };
  const send = (packet: Buffer) => source.rtp.send(packet, upstream.rtpPort, host);
  const report = (packet: Buffer) => source.rtcp.send(packet, upstream.rtcpPort, host);
  return { engine, stream, upstream, downstream, source, join, send, report };
}

function closeAll(...things: (Socket | UdpPair)[]): void {
  for (const thing of things) thing.close();
}

t.test('viewers on this host get every packet, and the proxy process none', { skip }, async (t) => {
  const { engine, stream, upstream, downstream, source, join, send, report } = await setUp();
  const up: Buffer[] = [];
  const media: Buffer[] = [];
  upstream.onRtcp((packet) => up.push(packet));
  upstream.onRtp((packet) => media.push(packet));
  const viewers = await Promise.all(Array.from({ length: 5 }, () => join()));
  t.same([...new Set(viewers.map((v) => v.viewer.servedBy))], ['kernel']);
  const from = once(viewers[0]!.rtp, 'message');
  for (let seq = 65530; seq < 65530 + 40; seq++) send(rtp({ seq, timestamp: seq * 3000 }, 1000));
  report(senderReport(0x11112222, 0x33334444));
  await until(() => viewers.every((v) => v.rtp.got.length === 40 && v.rtcp.got.length === 1));

  const [, sender] = (await from) as [Buffer, { address: string; port: number }];
  t.match(sender, { address: HOST, port: downstream.rtpPort });
  for (const v of viewers) {
    t.same(
      v.rtp.got.map((p) => p.readUInt16BE(2)),
      Array.from({ length: 40 }, (_, i) => (65530 + i) & 0xffff),
    );
    t.ok(v.rtcp.got[0]?.equals(senderReport(0x11112222, 0x33334444)));
    t.match(v.viewer.counters(), { packets: 40, bytes: 40 * 1012, rtcpPackets: 1, drops: 0 });
  }
  t.equal(media.length, 0, 'media stays in the kernel');
  t.equal(up.length, 1, 'reports come up as well');
  t.match(stream.counters(), { packets: 40, rtcpPackets: 1, refused: 0 });
  t.match(stream.reception(), { ssrc: 0x11223344, received: 40, baseSeq: 65530, extendedMaxSeq: 65530 + 39 });
  const sent = stream.senderReportSentNs(0x22223333)!;
  t.ok(process.hrtime.bigint() - sent < 5_000_000_000n);
  t.equal(stream.senderReportSentNs(1), undefined);

  const [leaver, ...stayers] = viewers;
  leaver!.viewer.remove();
  send(rtp({ seq: 34 }));
  await until(() => stayers.every((v) => v.rtp.got.length === 41));
  t.ok(stayers.every((v) => v.rtp.got.length === 41));
  t.equal(leaver!.rtp.got.length, 40);
  t.match(leaver!.viewer.counters(), { packets: 40 }, 'the last counters of who has left');

  await engine.close();
  t.same(await listKernelState(), [], 'nothing is left in the kernel');
  closeAll(upstream, downstream, source.rtp, source.rtcp, ...viewers.flatMap((v) => [v.rtp, v.rtcp]));
});

for (const host of HOSTS)
  t.test(`a source at ${host}, viewers at all addresses of this host`, { skip }, async (t) => {
    const { engine, upstream, downstream, source, join, send, report } = await setUp(host);
    const viewers: (Awaited<ReturnType<typeof join>> & { at: string })[] = [];
    for (const at of [...HOSTS, ...HOSTS]) viewers.push({ at, ...(await join(at)) });
    t.same([...new Set(viewers.map((v) => v.viewer.servedBy))], ['kernel']);
    const senders = Promise.all(viewers.map((v) => once(v.rtp, 'message')));
    for (let seq = 0; seq < 40; seq++) send(rtp({ seq }, seq * 30));
    report(senderReport());
    await until(() => viewers.every((v) => v.rtp.got.length === 40 && v.rtcp.got.length === 1));
    for (const { at, rtp: socket, rtcp, viewer } of viewers) {
      t.same(
        socket.got.map((p) => [p.readUInt16BE(2), p.length]),
        Array.from({ length: 40 }, (_, i) => [i, 12 + i * 30]),
        at,
      );
      t.ok(rtcp.got[0]?.equals(senderReport()), `${at}: RTCP`);
      t.match(viewer.counters(), { packets: 40, rtcpPackets: 1, drops: 0 });
    }
    const from = (await senders) as [Buffer, { address: string; port: number }][];
    t.same(
      from.map(([, { address, port }]) => [address, port]),
      viewers.map(({ at }) => [at, downstream.rtpPort]),
    );
    await engine.close();
    closeAll(upstream, downstream, source.rtp, source.rtcp, ...viewers.flatMap((v) => [v.rtp, v.rtcp]));
  });

t.test('the extension id of the SDP tells layers', { skip }, async (t) => {
  const encoding = { name: 'AV1', payloadType: PAYLOAD_TYPE, descriptorId: DESCRIPTOR_ID };
  const { engine, stream, upstream, downstream, source, join, send } = await setUp(HOST, encoding);
  const [base, all] = [await join(), await join()];
  base.viewer.allow(0);
  for (const [seq, template] of [0, 1, 2, 3, 1, 4].entries()) {
    const structure = seq === 0 && { structure: { offset: 0, templates: L1T3 } };
    const header = extension([[DESCRIPTOR_ID, descriptor({ template, ...structure })]]);
    const first = seq === 0 ? AV1_FIRST : AV1_PLAIN; // who has just come waits for a beginning
    send(extendedRtp(first, header, { seq, timestamp: seq }));
  }
  await until(() => all.rtp.got.length === 6);
  t.equal(all.rtp.got.length, 6);
  t.same(base.rtp.got.map((packet) => packet.readUInt32BE(4)), [0, 1, 4], 'temporal id 0'); // prettier-ignore
  t.same(base.rtp.got.map((packet) => packet.readUInt16BE(2)), [0, 1, 2], 'without a gap'); // prettier-ignore
  t.equal(stream.layers().notion, 'temporal');
  await engine.close();
  closeAll(base.rtp, base.rtcp, all.rtp, all.rtcp, source.rtp, source.rtcp, upstream, downstream);
});

t.test('strangers reach nobody', { skip }, async (t) => {
  const { engine, upstream, downstream, source, join, send } = await setUp();
  const viewer = await join();
  const stranger = await bound();
  for (let i = 0; i < 20; i++) stranger.send(rtp({ seq: i }), upstream.rtpPort, HOST);
  stranger.send(senderReport(), upstream.rtcpPort, HOST);
  send(rtp({ seq: 100 }));
  await until(() => viewer.rtp.got.length > 0);
  t.same(
    viewer.rtp.got.map((p) => p.readUInt16BE(2)),
    [100],
  );
  t.equal(viewer.rtcp.got.length, 0);
  t.equal(engine.drops().find((d) => d.reason === 'not-source')?.count, 21);
  t.same(
    engine.drops().map(({ reason }) => reason),
    DROP_REASONS,
    'numbers that mean nothing are not listed',
  );
  await engine.close();
  closeAll(upstream, downstream, source.rtp, source.rtcp, stranger, viewer.rtp, viewer.rtcp);
});

t.test('a second engine on the same port is refused while the first lives', { skip }, async (t) => {
  const engine = await TcDatapath.open({ port: PORT, objects: 'dist/bpf', log });
  const [state] = await listKernelState();
  t.match(state, { port: PORT, pid: process.pid, alive: true, viewers: [] });
  t.same(await listLeftovers(), []);
  await t.rejects(TcDatapath.open({ port: PORT, objects: 'dist/bpf', log }), {
    message: /already serves port 8554/,
  });
  t.match(await listKernelState(), [{ port: PORT, alive: true }], 'and disturbs nothing');
  const other = await TcDatapath.open({ port: PORT + 1, objects: 'dist/bpf', log });
  t.equal((await listKernelState()).length, 2);
  await other.close();
  await engine.close();
  t.same(await listKernelState(), []);
});
