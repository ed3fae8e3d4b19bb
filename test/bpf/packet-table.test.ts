// SPDX-License-Identifier: Apache-2.0
// Packets in, verdicts and copies out, counters after: every reason for which the TC programs drop, and everything that
// must pass them untouched.
import { fileURLToPath } from 'node:url';

import t from 'tap';
import { Limit } from '../../src/control/kernel/abi.gen.js';
import { onBothEngines } from '../fixtures/engines.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { KernelBench, TC_ACT_SHOT, TC_ACT_UNSPEC } from '../fixtures/kernel-bench.js';
import { LOCAL, rtp, senderReport, SOURCE, udpFrame, type UdpFields } from '../fixtures/packets.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;

interface Case {
  readonly name: string;
  readonly packet: Buffer;
  readonly verdict: number;
  /** Copies per viewer. */
  readonly copies: number;
  readonly drops?: Record<string, number>;
}

/** What BPF_PROG_TEST_RUN takes at the least: Ethernet and IPv4 headers. */
const SHORTEST = 34;

const media = (fields: UdpFields = {}) => udpFrame(rtp(), fields);
const report = (fields: UdpFields = {}) =>
  udpFrame(senderReport(), { sourcePort: SOURCE.rtcpPort, port: LOCAL.rtcpPort, ...fields });

const OURS: Case[] = [
  { name: 'RTP of the source', packet: media(), verdict: TC_ACT_SHOT, copies: 1 },
  { name: 'RTP without a UDP checksum', packet: media({ checksum: 0 }), verdict: TC_ACT_SHOT, copies: 1 },
  { name: 'RTP with a long lifetime', packet: media({ ttl: 255 }), verdict: TC_ACT_SHOT, copies: 1 },
  { name: 'a sender report: copied, and passed up', packet: report(), verdict: TC_ACT_UNSPEC, copies: 1 },
];

const DROPPED: Case[] = [
  [`not-source`, 'RTP from another address', media({ from: '10.0.0.9' })],
  ['not-source', 'RTP from another port', media({ sourcePort: 6972 })],
  ['not-source', 'RTCP from another address', report({ from: '10.0.0.9' })],
  ['not-source', 'RTCP from the RTP port', report({ sourcePort: SOURCE.rtpPort })],
  ['malformed', 'RTP version 1', udpFrame(rtp({ version: 1 }))],
  ['malformed', 'a datagram one byte short of an RTP header', udpFrame(rtp({}, 0).subarray(0, 11))],
  ['malformed', 'an empty datagram', udpFrame(Buffer.alloc(0))],
  ['malformed', 'a UDP length beyond the packet', media({ udpLengthOff: 1 })],
  ['malformed', 'a UDP length short of the packet', media({ udpLengthOff: -1 })],
  ['malformed', 'an IP length beyond the frame', media({ ipLengthOff: 1, udpLengthOff: 1 })],
  [
    'malformed',
    'RTCP of seven bytes',
    udpFrame(senderReport().subarray(0, 7), { sourcePort: 6971, port: 5005 }),
  ],
  ['ip-options', 'IP options', media({ headerWords: 7 })],
  ['fragment', 'the first fragment of a datagram', media({ fragment: 0x2000 })],
].map(([reason, name, packet]) => ({
  name: name as string,
  packet: packet as Buffer,
  verdict: TC_ACT_SHOT,
  copies: 0,
  drops: { [reason as string]: 1 },
}));

const UNTOUCHED: Case[] = [
  ['UDP to another port of ours', media({ port: 5006 })],
  ['UDP to our port at another address', media({ to: '10.0.0.3' })],
  ['TCP to the same port', media({ protocol: 6 })],
  ['IPv6', media({ etherType: 0x86dd })],
  ['ARP', media({ etherType: 0x0806 })],
  ['a VLAN tag', media({ etherType: 0x8100 })],
  ['an IP header of version 6', media({ version: 6 })],
  ['an IP header of four words', media({ headerWords: 4 })],
  ['a later fragment: no ports to know it by', media({ fragment: 0x2010 })],
].map(([name, packet]) => ({
  name: name as string,
  packet: packet as Buffer,
  verdict: TC_ACT_UNSPEC,
  copies: 0,
}));

onBothEngines('each packet of the table', { skip }, async (t, engine) => {
  const bench = await KernelBench.create(engine);
  const stream = bench.open();
  const viewers = [1, 2, 3].map((n) => bench.add(stream, n));
  let before = bench.drops();
  for (const { name, packet, verdict, copies, drops = {} } of [...OURS, ...DROPPED, ...UNTOUCHED]) {
    const counted = viewers.map((v) => sent(bench, v.slot));
    const run = bench.ingress(packet);
    t.equal(run.verdict, verdict, `${name}: verdict`);
    if (verdict === TC_ACT_UNSPEC) t.ok(run.packet.equals(packet), `${name}: unchanged`);
    await arrived(() => viewers.every((v, i) => sent(bench, v.slot) - counted[i]! >= copies));
    t.same(
      viewers.map((v, i) => sent(bench, v.slot) - counted[i]!),
      viewers.map(() => copies),
      `${name}: copies`,
    );
    const after = bench.drops();
    t.same(difference(before, after), drops, `${name}: drops`);
    before = after;
  }
  await bench.close();
});

onBothEngines(
  'a packet cut short at every length changes nothing but counters',
  { skip },
  async (t, engine) => {
    const bench = await KernelBench.create(engine);
    const viewer = bench.add(bench.open(), 1);
    for (const whole of [media(), report(), media({ headerWords: 8 })])
      for (let length = SHORTEST; length < whole.length; length++) {
        const cut = whole.subarray(0, length);
        const { verdict, packet } = bench.ingress(cut);
        if (verdict !== TC_ACT_SHOT && !packet.equals(cut)) t.fail(`${length} bytes: changed`);
        if (verdict !== TC_ACT_SHOT && verdict !== TC_ACT_UNSPEC)
          t.fail(`${length} bytes: verdict ${verdict}`);
      }
    t.equal(sent(bench, viewer.slot), 0);
    t.equal(bench.state.ticketsOut(), 0);
    await bench.close();
  },
);

onBothEngines('what a copy looks like on the wire', { skip }, async (t, engine) => {
  const bench = await KernelBench.create(engine);
  const stream = bench.open();
  for (const n of [1, 2, 300]) bench.add(stream, n);
  const payload = rtp({ seq: 7 }, 321);
  const copies = await bench.capture(() => {
    bench.ingress(udpFrame(payload));
    bench.ingress(udpFrame(payload, { checksum: 0 }));
    bench.ingress(udpFrame(senderReport(), { sourcePort: SOURCE.rtcpPort, port: LOCAL.rtcpPort }));
  });
  t.equal(copies.length, 9);
  for (const copy of copies) t.equal(copy.header, 'right');
  t.same(
    copies.map((c) => c.checksum),
    Array(9).fill('right'),
    'a packet without a checksum is given one',
  );
  const to = (c: (typeof copies)[number]) =>
    `${c.source}:${c.sourcePort} > ${c.destination}:${c.destinationPort}`;
  const addresses = ['10.1.1.1', '10.1.1.2', '10.1.2.44'];
  const ports = [10002, 10004, 10600];
  const expected = (offset: number) =>
    addresses.map((a, i) => `10.1.0.1:${7000 + offset} > ${a}:${ports[i]! + offset}`);
  t.same(copies.slice(0, 3).map(to), expected(0));
  t.same(copies.slice(3, 6).map(to).sort(), expected(0), 'the second packet reaches the same viewers');
  t.not(to(copies[3]!), to(copies[0]!), 'but begins with another');
  t.same(copies.slice(6).map(to).sort(), expected(1));
  t.ok(copies.slice(0, 6).every((c) => c.payload.equals(payload)));
  t.ok(copies.slice(6).every((c) => c.payload.equals(senderReport())));
  await bench.close();
});

onBothEngines('checksums hold for every value they can take', { skip }, async (t, engine) => {
  const bench = await KernelBench.create(engine);
  const stream = bench.open();
  for (const n of [1, 77, 513]) bench.add(stream, n);
  const packets = Array.from({ length: 600 }, (_, i) =>
    udpFrame(rtp({ seq: i, timestamp: i * 110_000 }, i % 97)),
  );
  const copies = await bench.capture(() => packets.forEach((packet) => bench.ingress(packet)));
  t.equal(copies.length, packets.length * 3);
  t.same(
    copies.filter((c) => c.header !== 'right' || c.checksum !== 'right'),
    [],
  );
  await bench.close();
});

onBothEngines('reasons that are not in the packet', { skip }, async (t, engine) => {
  const bench = await KernelBench.create(engine);
  const stream = bench.open();

  t.equal(bench.ingress(media()).verdict, TC_ACT_SHOT);
  t.same(bench.drops(), { 'no-viewer': 1 }, 'nobody plays');
  t.equal(bench.ingress(report()).verdict, TC_ACT_UNSPEC, 'a report passes up all the same');

  const small = bench.add(stream, 1, { ...bench.outlet, mtu: 100 });
  const gone = bench.add(stream, 2, { ...bench.outlet, ifindex: 9999 });
  const fine = bench.add(stream, 3);
  bench.ingress(media());
  await bench.drained();
  t.same(bench.drops(), { 'no-viewer': 1, 'too-big': 1, 'egress-error': 1 });
  t.same(
    [small, gone, fine].map((v) => bench.state.viewer(v.slot).drops),
    [1, 1, 0],
  );
  t.equal(sent(bench, fine.slot), 1, 'the viewer behind them is served');

  bench.again(udpFrame(rtp()));
  t.equal(bench.drops()['foreign-template'], 1, 'a frame on the private device that is not ours');
  const stale = udpFrame(rtp());
  bench.queueMac.copy(stale, 0);
  stale.writeUInt16LE(stream, 6);
  stale.writeUInt32LE(0x1000, 8);
  bench.again(stale);
  t.equal(bench.drops()['ticket-late'], 1, 'a template whose ticket is not out');
  t.equal(sent(bench, fine.slot), 1);
  await bench.close();
});

onBothEngines('one source port negotiated, or any', { skip }, async (t, engine) => {
  const bench = await KernelBench.create(engine);
  const viewer = bench.add(bench.open({}, { rtp: 0, rtcp: 0 }), 1);
  bench.ingress(media({ sourcePort: 1234 }));
  bench.ingress(media({ sourcePort: 4321 }));
  t.equal(sent(bench, viewer.slot), 2);
  bench.ingress(media({ from: '10.0.0.9' }));
  t.same(bench.drops(), { 'not-source': 1 });
  await bench.close();
});

function sent(bench: KernelBench, slot: number): number {
  const { packets, rtcpPackets } = bench.state.viewer(slot);
  return packets + rtcpPackets;
}

/** Reports go round the private device before they are copied. */
async function arrived(done: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
}

function difference(before: Record<string, number>, after: Record<string, number>): Record<string, number> {
  const grown = Object.entries(after).map(
    ([reason, count]) => [reason, count - (before[reason] ?? 0)] as const,
  );
  return Object.fromEntries(grown.filter(([, count]) => count));
}

t.test("a source on this host: its address is nobody else's", { skip }, async (t) => {
  const bench = await KernelBench.create();
  const stream = bench.openLocal(5004);
  const viewer = bench.add(stream, 1);
  const packet = udpFrame(rtp(), { from: '127.0.0.1', to: '127.0.0.1' });
  t.equal(bench.ingress(packet, { ifindex: bench.outlet.ifindex }).verdict, TC_ACT_SHOT);
  t.same(bench.drops(), { 'not-source': 1 }, 'forged by a neighbour on another device');
  bench.ingress(packet);
  t.equal(bench.state.viewer(viewer.slot).packets, 1, 'over the loopback it is the source');
  await bench.close();
});

t.test('datagrams that came as one are counted one by one', { skip }, async (t) => {
  const bench = await KernelBench.create();
  const stream = bench.open();
  const size = 24;
  for (const [count, last] of [
    [20, size],
    [Limit.DATAGRAM_SEGMENTS, size],
    [3, 13],
  ] as const) {
    const { received: before = 0, extendedMaxSeq: from = 0 } = bench.state.reception(stream) ?? {};
    const all = Array.from({ length: count }, (_, i) => rtp({ seq: from + 1 + i }, size - 12));
    const payload = Buffer.concat(all).subarray(0, (count - 1) * size + last);
    bench.ingress(udpFrame(payload), { gsoSize: size }); // gso_segs is 0, as where a virtual machine made it
    const after = bench.state.reception(stream)!;
    t.same([after.received - before, after.extendedMaxSeq - from], [count, count]);
  }
  t.equal(bench.state.stream(stream).packets, 23 + Limit.DATAGRAM_SEGMENTS);
  await bench.close();
});

/** RTP with this second byte: marker and payload type, or what would be RTCP's type. */
function typed(type: number): Buffer {
  const packet = rtp();
  packet[1] = type;
  return packet;
}

onBothEngines('RTP and RTCP to one port (RFC 5761)', { skip }, async (t, engine) => {
  const bench = await KernelBench.create(engine);
  const stream = bench.open({ rtcp: LOCAL.rtpPort }, { rtp: SOURCE.rtpPort, rtcp: SOURCE.rtpPort });
  const viewer = bench.add(stream, 1);
  const kinds = () => {
    const { packets, rtcpPackets } = bench.state.viewer(viewer.slot);
    return { packets, rtcpPackets };
  };
  let expected = { packets: 0, rtcpPackets: 0 };
  for (const [type, isRtcp] of [
    ...([0, 63, 96, 127, 128, 191, 224, 255].map((type) => [type, false]) as [number, boolean][]),
    ...([192, 200, 201, 207, 223].map((type) => [type, true]) as [number, boolean][]),
  ]) {
    const run = bench.ingress(udpFrame(typed(type)));
    t.equal(run.verdict, isRtcp ? TC_ACT_UNSPEC : TC_ACT_SHOT, `type ${type}: verdict`);
    const { packets, rtcpPackets } = expected;
    expected = isRtcp ? { packets, rtcpPackets: rtcpPackets + 1 } : { packets: packets + 1, rtcpPackets };
    await arrived(() => sent(bench, viewer.slot) === expected.packets + expected.rtcpPackets);
    t.same(kinds(), expected, `type ${type}: copied as what it is`);
  }
  const copies = await bench.capture(() => void bench.ingress(udpFrame(senderReport())));
  t.match(copies, [{ sourcePort: 7001, destinationPort: 10003 }], 'to the port that this viewer has for it');
  bench.ingress(udpFrame(senderReport(), { sourcePort: SOURCE.rtcpPort }));
  bench.ingress(udpFrame(senderReport().subarray(0, 7)));
  bench.ingress(udpFrame(Buffer.alloc(1, 0x80)));
  t.same(bench.drops(), { 'not-source': 1, malformed: 2 });
  t.equal(
    bench.ingress(udpFrame(senderReport(), { port: LOCAL.rtcpPort })).verdict,
    TC_ACT_UNSPEC,
    'the port above is not ours',
  );
  bench.state.commands.close(stream);
  t.equal(bench.ingress(udpFrame(rtp())).verdict, TC_ACT_UNSPEC, 'nor this one any more');
  const two = bench.open();
  t.equal(bench.ingress(report()).verdict, TC_ACT_UNSPEC, 'the port is free for a stream with two');
  bench.add(two, 2);
  bench.ingress(udpFrame(typed(200)));
  t.equal(bench.state.stream(two).packets, 1, 'where such a type is RTP');
  await bench.close();
});
