// SPDX-License-Identifier: Apache-2.0
// Ways that take less than the device that they begin with: a route's own MTU, and what a router on the way has told.
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import t from 'tap';
import { FrameWriter } from '../../src/control/kernel/frame.js';
import { NextHops, type NextHop } from '../../src/control/kernel/next-hop.js';
import { TcDatapath } from '../../src/control/kernel/tc.js';
import { bindUdpPair } from '../../src/control/net/udp-pair.js';
import { PortPairs } from '../../src/control/state/port-pairs.js';
import { ifindex, ip } from '../fixtures/kernel-bench.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { rtp } from '../fixtures/packets.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const OURS = '10.1.0.1';
const OURS_TOO = '10.1.0.3';
const ROUTER = '10.1.0.2';
const VIEWER = '10.9.1.1';
const VIEWER_PORT = 6000;
const MAC = { ours: '020000000001', theirs: '020000000002' };
const bytes = (mac: string) => Buffer.from(mac, 'hex');
const colons = (mac: string) => mac.match(/../g)!.join(':');
const mtuOf = (hop: NextHop | undefined) => (hop?.to === 'neighbour' ? hop.mtu : hop?.to);

function sum(words: Buffer): number {
  let total = 0;
  for (let at = 0; at < words.length; at += 2) total += words.readUInt16BE(at);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}

/** RFC 792 with RFC 1191 4: a router says that a datagram of ours to the viewer was larger than `mtu`. */
function fragmentationNeeded(mtu: number, ourPort: number): Buffer {
  const datagram = Buffer.from(
    '4500057800004000401100000a0100010a09010100000000056400'.padEnd(56, '0'),
    'hex',
  );
  datagram.writeUInt16BE(ourPort, 20);
  datagram.writeUInt16BE(VIEWER_PORT, 22);
  const icmp = Buffer.concat([Buffer.from('0304000000000000', 'hex'), datagram]);
  icmp.writeUInt16BE(mtu, 6);
  icmp.writeUInt16BE(sum(icmp), 2);
  const header = Buffer.from('450000380000000040010000' + '0a010002' + '0a010001', 'hex');
  header.writeUInt16BE(sum(header), 10);
  return Buffer.concat([bytes(MAC.ours), bytes(MAC.theirs), Buffer.from('0800', 'hex'), header, icmp]);
}

t.test("a path's MTU, and a route's", { skip }, async (t) => {
  ip('link', 'add', 'd1', 'address', colons(MAC.ours), 'type', 'veth', 'peer', 'name', 'e1');
  for (const address of [OURS, OURS_TOO]) ip('addr', 'add', `${address}/24`, 'dev', 'd1');
  for (const end of ['d1', 'e1']) ip('link', 'set', end, 'up');
  ip('neigh', 'replace', ROUTER, 'lladdr', colons(MAC.theirs), 'dev', 'd1');
  ip('route', 'add', '10.9.0.0/16', 'via', ROUTER);

  const engine = await TcDatapath.open({ port: 8554, objects: 'dist/bpf', log: pino({ level: 'silent' }) });
  const pairs = new PortPairs();
  const [upstream, downstream] = [await bindUdpPair(pairs), await bindUdpPair(pairs)];
  const stream = await engine.open({
    ...{ name: '/test', localAddress: OURS, upstream, downstream, clockRate: 90000 },
    source: { address: ROUTER, rtpPort: 5000, rtcpPort: 5001 },
  });
  const join = (id: number, localAddress: string) =>
    stream.add({
      ...{ id, localAddress, address: VIEWER, rtpPort: VIEWER_PORT, rtcpPort: VIEWER_PORT + 1 },
    });
  let seq = 0;
  /** From the source, that much payload behind the RTP header. */
  const send = async (payload: number) => {
    const hop = { ifindex: ifindex('e1'), mtu: 1500, mac: bytes(MAC.ours), sourceMac: bytes(MAC.theirs) };
    const to = { source: ROUTER, sourcePort: 5000, address: OURS, port: upstream.rtpPort };
    const writer = new FrameWriter(engine.sender.frame, { hop, ...to });
    const packet = rtp({ seq: seq++ }, payload);
    writer.payload.set(packet);
    engine.sender.run(writer.write(packet.length), hop.ifindex);
    await sleep(50);
  };
  const tooBig = () => engine.drops().find(({ reason }) => reason === 'too-big')?.count;

  const seen = new Map<string, NextHop>();
  const hops = new NextHops((changed) => {
    for (const [address, hop] of changed) seen.set(address, hop);
  }, 200);
  const [there, beside] = [`${VIEWER} from ${OURS}`, `10.9.1.2 from ${OURS}`];
  for (const address of [there, beside]) t.equal(mtuOf(await hops.watch(address)), 1500);
  const first = await join(1, OURS);
  await send(1300);
  t.match(first.counters(), { packets: 1, drops: 0 });
  first.remove();

  const notice = fragmentationNeeded(1200, downstream.rtpPort);
  notice.copy(new Uint8Array(engine.sender.frame.buffer, engine.sender.frame.byteOffset));
  engine.sender.run(notice.length, ifindex('e1'));
  for (let i = 0; i < 100 && !seen.has(there); i++) await sleep(20);
  t.equal(mtuOf(seen.get(there)), 1200, 'asked for now and then');
  t.notOk(seen.has(beside), 'of that address alone');

  const second = await join(2, OURS_TOO); // the first's way is asked for again within 20 s;
  const before = tooBig();
  await send(1300);
  await send(1200 - 20 - 8 - 12);
  t.match(second.counters(), { packets: 1, drops: 1 }, 'what is larger is not sent, and counted');
  t.equal(tooBig(), before! + 1);

  ip('route', 'replace', '10.9.0.0/16', 'via', ROUTER, 'mtu', '1400');
  for (let i = 0; i < 100 && !seen.has(beside); i++) await sleep(20);
  t.equal(mtuOf(seen.get(beside)), 1400, "a route's own");
  hops.close();
  await engine.close();
  for (const pair of [upstream, downstream]) pair.close();
});
