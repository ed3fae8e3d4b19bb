// SPDX-License-Identifier: Apache-2.0
// Copies to a multicast group, and a source that sends to one: what is on the wire, and what passes.
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { multicastMac } from '../../src/control/kernel/address.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { KernelBench, TC_ACT_SHOT, TC_ACT_UNSPEC } from '../fixtures/kernel-bench.js';
import { LOCAL, rtp, senderReport, SOURCE, udpFrame } from '../fixtures/packets.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const GROUP = '239.200.3.4';
const INCOMING = '239.9.9.9';

const media = (seq: number) => udpFrame(rtp({ seq }, 100 + seq));
const report = () => udpFrame(senderReport(), { sourcePort: SOURCE.rtcpPort, port: LOCAL.rtcpPort });

/** One viewer slot for all members of GROUP. */
function addGroup(bench: KernelBench, stream: number, id: number, ttl: number | undefined): void {
  bench.state.commands.add(stream, {
    id,
    source: '10.1.0.1',
    sourcePorts: { rtp: 20_000, rtcp: 20_001 },
    address: GROUP,
    ports: { rtp: 20_000, rtcp: 20_001 },
    hop: { ...bench.outlet, mac: multicastMac(GROUP) },
    ttl,
    holdMs: 0,
  });
}

t.test('RFC 1112 addresses', async (t) => {
  t.equal(multicastMac('239.200.3.4').toString('hex'), '01005e480304');
  t.equal(multicastMac('224.128.255.1').toString('hex'), '01005e00ff01');
});

for (const engine of ['tc', 'xdp'] as const)
  t.test(`a group gets one copy, with its own lifetime: ${engine}`, { skip }, async (t) => {
    const bench = await KernelBench.create(engine);
    const stream = bench.open();
    addGroup(bench, stream, 1001, 7);
    bench.add(stream, 1);
    addGroup(bench, stream, 1002, undefined);
    const copies = await bench.capture(() => {
      for (const seq of [1, 2, 3]) bench.ingress(media(seq));
      bench.ingress(udpFrame(rtp({ seq: 4 }), { checksum: 0 }));
      bench.ingress(report());
    });
    t.same(
      copies.filter(({ header }) => header !== 'right'),
      [],
    );
    t.same(
      copies.filter(({ checksum }) => checksum !== 'right'),
      [],
      'whoever came without a checksum has been given one',
    );
    const kinds = copies.map((c) => `${c.destinationMac} ${c.destination}:${c.destinationPort} ttl ${c.ttl}`);
    const count = new Map(kinds.map((kind) => [kind, kinds.filter((other) => other === kind).length]));
    const unicast = `${bench.outlet.mac.toString('hex')} 10.1.1.1`;
    t.same(
      [...count].sort(),
      [
        [`01005e480304 ${GROUP}:20000 ttl 7`, 4],
        [`01005e480304 ${GROUP}:20000 ttl 64`, 4],
        [`01005e480304 ${GROUP}:20001 ttl 7`, 1],
        [`01005e480304 ${GROUP}:20001 ttl 64`, 1],
        [`${unicast}:10002 ttl 64`, 4],
        [`${unicast}:10003 ttl 64`, 1],
      ].sort(),
    );
    await bench.close();
  });

t.test('a source that sends to a group; others there do not disturb', { skip }, async (t) => {
  const bench = await KernelBench.create();
  const stream = bench.state.commands.open({
    source: SOURCE.address,
    sourcePorts: { rtp: 0, rtcp: 0 },
    local: INCOMING,
    localPorts: { rtp: 7000, rtcp: 7001 },
    clockRate: 90_000,
    ...bench.codec,
  });
  const viewer = bench.add(stream, 1);
  const sent = () => bench.state.viewer(viewer.slot).packets;
  const to = (port: number, more: object = {}) => ({ to: INCOMING, port, ...more });
  t.equal(bench.ingress(udpFrame(rtp(), to(7000))).verdict, TC_ACT_SHOT);
  t.equal(sent(), 1);
  t.equal(bench.ingress(udpFrame(senderReport(), to(7001))).verdict, TC_ACT_UNSPEC, 'its reports pass up');
  for (const packet of [
    udpFrame(rtp(), to(7000, { from: '10.0.0.9' })),
    udpFrame(senderReport(), to(7001, { from: '10.0.0.9' })),
  ]) {
    const run = bench.ingress(packet);
    t.equal(run.verdict, TC_ACT_UNSPEC, 'what others send there is for who listens there');
    t.ok(run.packet.equals(packet), 'unchanged');
  }
  t.equal(
    bench.ingress(udpFrame(rtp(), { to: LOCAL.address, port: 7000 })).verdict,
    TC_ACT_UNSPEC,
    'not the group',
  );
  t.equal(sent(), 1);
  t.same(bench.drops(), {});
  await bench.close();
});
