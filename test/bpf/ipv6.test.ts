// SPDX-License-Identifier: Apache-2.0
// IPv6 in, IPv6 out, and either family for viewers of the other: verdicts and drops as in packet-table.test.ts, and every
// copy as it is on the wire.
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { addressBytes, addressText } from '../../src/control/state/address.js';
import type { UdpPacket } from '../../tools/wire/pcap.js';
import { KernelBench, TC_ACT_SHOT, TC_ACT_UNSPEC } from '../fixtures/kernel-bench.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import {
  LOCAL,
  LOCAL_V6,
  rtp,
  senderReport,
  SOURCE,
  SOURCE_V6,
  udp6Frame,
  udpFrame,
  type Udp6Fields,
} from '../fixtures/packets.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const ESP = 50;
const DESTINATION = 60;
/** What BPF_PROG_TEST_RUN takes at the least: Ethernet and IPv6 headers. */
const SHORTEST = 54;
const ENDS_V6 = { source: SOURCE_V6, local: LOCAL_V6 };

const media = (fields: Udp6Fields = {}) => udp6Frame(rtp(), fields);
const report = (fields: Udp6Fields = {}) =>
  udp6Frame(senderReport(), { sourcePort: SOURCE.rtcpPort, port: LOCAL.rtcpPort, ...fields });
const pad = (number: number): [number, ...number[]] => [number, 0, 1, 4, 0, 0, 0, 0];
const fragment = (offsetAndMore: number): [number, ...number[]] => [
  FRAGMENT,
  ...[0, offsetAndMore >> 8, offsetAndMore & 0xff, 0, 0, 0, 1],
];

interface Case {
  readonly name: string;
  readonly packet: Buffer;
  readonly verdict: number;
  readonly copies: number;
  /** Whole packets dropped, for that reason. */
  readonly reason?: string;
}

const CASES: Case[] = [
  ...[
    ['RTP of the source', media()],
    ['RTP with a long lifetime', media({ ttl: 255 })],
    ['RTP with a traffic class', media({ trafficClass: 0xb8 })],
  ].map(([name, packet]) => ours(name as string, packet as Buffer)),
  { name: 'a sender report', packet: report(), verdict: TC_ACT_UNSPEC, copies: 1 },
  ...(
    [
      ['not-source', 'RTP from another address', media({ from: '2001:db8::9' })],
      ['not-source', 'RTP from an address that ends alike', media({ from: '2001:db8:1::1' })],
      ['not-source', 'RTP from another port', media({ sourcePort: 6972 })],
      ['not-source', 'RTCP from another address', report({ from: '2001:db8::9' })],
      ['malformed', 'RTP version 1', udp6Frame(rtp({ version: 1 }))],
      ['malformed', 'an empty datagram', udp6Frame(Buffer.alloc(0))],
      ['malformed', 'a UDP length beyond the packet', media({ udpLengthOff: 1 })],
      ['malformed', 'a UDP length short of the packet', media({ udpLengthOff: -1 })],
      ['malformed', 'a payload length beyond the frame', media({ ipLengthOff: 1, udpLengthOff: 1 })],
      ['malformed', 'no UDP checksum (RFC 8200 8.1)', media({ checksum: 0 })],
      ['ip-options', 'hop-by-hop options', media({ extensions: [pad(HOP_BY_HOP)] })],
      [
        'ip-options',
        'routing and destination options',
        media({ extensions: [pad(ROUTING), pad(DESTINATION)] }),
      ],
      ['fragment', 'the first fragment of a datagram', media({ extensions: [fragment(1)] })],
      ['fragment', 'a fragment that is the whole', media({ extensions: [fragment(0)] })],
    ] as const
  ).map(([reason, name, packet]) => ({ name, packet, verdict: TC_ACT_SHOT, copies: 0, reason })),
  ...(
    [
      ['UDP to another port of ours', media({ port: 5006 })],
      ['UDP to our port at another address', media({ to: '2001:db8::3' })],
      ['TCP to the same port', media({ protocol: 6 })],
      ['a later fragment: no ports to know it by', media({ extensions: [fragment(0x101)] })],
      ['ESP', media({ extensions: [pad(ESP)] })],
      ['five extension headers', media({ extensions: Array.from({ length: 5 }, () => pad(DESTINATION)) })],
      ['a VLAN tag', media({ etherType: 0x8100 })],
      ['an IP header of version 4', media({ version: 4 })],
      ['the IPv4 stream of the same ports', udpFrame(rtp())],
    ] as const
  ).map(([name, packet]) => ({ name, packet, verdict: TC_ACT_UNSPEC, copies: 0 })),
];

function ours(name: string, packet: Buffer): Case {
  return { name, packet, verdict: TC_ACT_SHOT, copies: 1 };
}

/** Viewers of both families in turns. */
function addMixed(bench: KernelBench, stream: number, count: number) {
  return Array.from({ length: count }, (_, i) => {
    bench.family = i % 2 ? 6 : 4;
    return bench.add(stream, i + 1);
  });
}

function sent(bench: KernelBench, slot: number): number {
  const { packets, rtcpPackets } = bench.state.viewer(slot);
  return packets + rtcpPackets;
}

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
}

t.test('each packet of the table', { skip }, async (t) => {
  const bench = await KernelBench.create();
  bench.ends = ENDS_V6;
  const viewers = addMixed(bench, bench.open(), 4);
  const drops: Record<string, number> = {};
  let copies = 0;
  for (const { name, packet, verdict, copies: more, reason } of CASES) {
    const run = bench.ingress(packet);
    t.equal(run.verdict, verdict, `${name}: verdict`);
    if (verdict === TC_ACT_UNSPEC) t.ok(run.packet.equals(packet), `${name}: unchanged`);
    copies += more;
    await until(() => viewers.every((v) => sent(bench, v.slot) >= copies));
    t.same(
      viewers.map((v) => sent(bench, v.slot)),
      viewers.map(() => copies),
      `${name}: copies`,
    );
    if (reason) drops[reason] = (drops[reason] ?? 0) + 1;
    t.same(bench.drops(), drops, `${name}: drops`);
  }
  await bench.close();
});

t.test('a packet cut short at every length changes nothing but counters', { skip }, async (t) => {
  const bench = await KernelBench.create();
  bench.ends = ENDS_V6;
  const viewer = bench.add(bench.open(), 1);
  for (const whole of [media(), report(), media({ extensions: [pad(HOP_BY_HOP), pad(DESTINATION)] })])
    for (let length = SHORTEST; length < whole.length; length++) {
      const cut = whole.subarray(0, length);
      const { verdict, packet } = bench.ingress(cut);
      if (verdict !== TC_ACT_SHOT && !packet.equals(cut)) t.fail(`${length} bytes: changed`);
      if (verdict !== TC_ACT_SHOT && verdict !== TC_ACT_UNSPEC) t.fail(`${length} bytes: verdict ${verdict}`);
    }
  t.equal(sent(bench, viewer.slot), 0);
  t.equal(bench.state.ticketsOut(), 0);
  await bench.close();
});

const VIEWERS = 6;
/** Payloads of every length up to some, and what the checksum makes of them: values near 0 and 0xffff among them. */
const PAYLOADS = Array.from({ length: 100 }, (_, i) =>
  rtp({ seq: i, timestamp: i * 110_000 }, i < 70 ? i : i * 13),
);

const keyOf = (p: Pick<UdpPacket, 'destination' | 'destinationPort'>) =>
  `${addressText(addressBytes(p.destination))} ${p.destinationPort}`;

for (const engine of ['tc', 'xdp'] as const)
  for (const family of [4, 6] as const)
    t.test(`${engine}, IPv${family} source, viewers of both families: the copies`, { skip }, async (t) => {
      const bench = await KernelBench.create(engine);
      if (family === 6) bench.ends = ENDS_V6;
      const viewers = addMixed(bench, bench.open(), VIEWERS);
      const frame = family === 4 ? udpFrame : udp6Frame;
      const frames = [
        ...PAYLOADS.map((payload) => frame(payload, { trafficClass: 0xb8 })),
        ...(family === 4
          ? PAYLOADS.map((payload) => udpFrame(payload, { checksum: 0, trafficClass: 0xb8 }))
          : []),
      ];
      const report = frame(senderReport(), { sourcePort: SOURCE.rtcpPort, port: LOCAL.rtcpPort });
      const expected = VIEWERS * (frames.length + 1);
      const copies = await bench.capture(async () => {
        for (const packet of frames) {
          bench.ingress(packet);
          await until(() => bench.state.ticketsOut() === 0);
        }
        bench.ingress(report);
        await until(() => viewers.every((v) => bench.state.viewer(v.slot).rtcpPackets === 1));
      }, expected);
      t.equal(copies.length, expected);
      checkHeaders(t, copies);
      for (const i of viewers.keys()) {
        const address = i % 2 ? `2001:db8:1::${i + 1}` : `10.1.1.${i + 1}`;
        const mine = copies.filter((c) => keyOf(c) === `${address} ${10002 + 2 * i}`);
        t.equal(mine.length, frames.length, `${address}: all`);
        t.ok(
          mine.every((c, n) => c.payload.equals(PAYLOADS[n % PAYLOADS.length]!)),
          `${address}: in order, unchanged`,
        );
      }
      t.same(bench.drops(), {});
      await bench.close();
    });

function checkHeaders(t: Test, copies: readonly UdpPacket[]): void {
  const is6 = (c: UdpPacket) => c.destination.includes(':');
  t.same(
    copies.filter((c) => c.header !== (is6(c) ? 'none' : 'right')),
    [],
    'IPv4 headers',
  );
  t.same(
    copies.filter((c) => c.checksum !== 'right'),
    [],
    'UDP checksums',
  );
  t.same([...new Set(copies.map((c) => c.ttl))], [64]);
  t.same([...new Set(copies.filter((c) => c.sourcePort === 7000).map((c) => c.trafficClass))], [0xb8]);
  const sources = new Set(copies.map((c) => addressText(addressBytes(c.source))));
  t.same([...sources].sort(), ['10.1.0.1', '2001:db8:1::ffff']);
}
