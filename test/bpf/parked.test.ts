// SPDX-License-Identifier: Apache-2.0
// Packets that are parked while others are being served come out as they went in: to every viewer, in order, with right
// checksums, whatever the template was that took them up.
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { Limit } from '../../src/control/kernel/abi.gen.js';
import { tcAttach, tcDetach } from '../../src/control/kernel/libbpf.js';
import { placeOn } from '../../src/control/kernel/tc-filters.js';
import { run } from '../../tools/netns/child.js';
import type { UdpPacket } from '../../tools/wire/pcap.js';
import { KernelBench, ifindex, ip } from '../fixtures/kernel-bench.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { LOCAL_V6, rtp, SOURCE_V6, udp6Frame, udpFrame } from '../fixtures/packets.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;

const VIEWERS = 300;
const MTU = 3000;

type Viewer = ReturnType<KernelBench['add']>;

function addViewers(bench: KernelBench, stream: number, mixed: boolean): Viewer[] {
  return Array.from({ length: VIEWERS }, (_, i) => {
    bench.family = mixed && i % 3 === 1 ? 6 : 4;
    return bench.add(stream, i + 1);
  });
}

function check(t: Test, bench: KernelBench, copies: readonly UdpPacket[], sent: readonly Buffer[]): void {
  t.ok(bench.state.passes().parked > 0, `${bench.state.passes().parked} were parked`);
  checkCopies(t, bench, copies, sent);
}

function checkCopies(
  t: Test,
  bench: KernelBench,
  copies: readonly UdpPacket[],
  sent: readonly Buffer[],
): void {
  t.equal(bench.state.ticketsOut() + bench.state.templatesOut(), 0, 'nothing is under way');
  t.same(bench.drops(), {});
  t.equal(copies.length, VIEWERS * sent.length);
  t.same(
    copies.filter((c) => c.checksum !== 'right'),
    [],
    'UDP checksums',
  );
  const byPort = new Map<number, UdpPacket[]>();
  for (const copy of copies) {
    const mine = byPort.get(copy.destinationPort);
    if (mine) mine.push(copy);
    else byPort.set(copy.destinationPort, [copy]);
  }
  t.equal(byPort.size, VIEWERS);
  const wrong = [...byPort].filter(([, mine]) => !mine.every((c, i) => c.payload.equals(sent[i]!)));
  t.same(
    wrong.map(([port]) => port),
    [],
    'every viewer got what was sent, in order',
  );
}

/** The outlet takes little at a time, less than comes however busy the machine is: packets pile up behind the first. */
const slowOutlet = () =>
  execFileSync('tc', [
    ...['qdisc', 'replace', 'dev', 'out0', 'root', 'tbf'],
    ...['rate', '20mbit', 'burst', '16k', 'limit', '60k'],
  ]);

/** The kernel completes checksums before it sends, as for a device that cannot: what it makes of them is seen. */
const completeChecksums = () => execFileSync('ethtool', ['-K', 'out0', 'tx', 'off']);

for (const family of [4, 6] as const)
  t.test(`IPv${family}, viewers of both families, all lengths`, { skip }, async (t) => {
    const bench = await KernelBench.create();
    if (family === 6) bench.ends = { source: SOURCE_V6, local: LOCAL_V6 };
    for (const end of ['out0', 'out1']) ip('link', 'set', end, 'mtu', `${MTU}`);
    bench.outlet.mtu = MTU;
    slowOutlet();
    addViewers(bench, bench.open(), true);
    // Around the lengths of an entry, and of what checksums are made of.
    const sent = [0, 1, 2, 3, 700, 31, 1400, 5, 1970, 33, 2100, 32].map((length, seq) =>
      rtp({ seq }, length),
    );
    const frame = family === 4 ? udpFrame : udp6Frame;
    const copies = await bench.capture(async () => {
      for (const payload of sent) bench.ingress(frame(payload));
      await bench.drained();
    }, VIEWERS * sent.length);
    check(t, bench, copies, sent);
    await bench.close();
  });

t.test('some whose checksum the kernel is to complete, some not', { skip }, async (t) => {
  const bench = await KernelBench.create();
  slowOutlet();
  completeChecksums();
  addViewers(bench, bench.openLocal(5004), false);
  tcAttach(placeOn(ifindex('lo'), 1), bench.ingressFd);
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const ends = { from: '127.0.0.1', to: '127.0.0.1', sourcePort: socket.address().port, port: 5004 };
  const sent: Buffer[] = [];
  const copies = await bench.capture(async () => {
    for (let seq = 0; seq < 24; seq += 2) {
      const [whole, partial] = [rtp({ seq }, 300 + seq), rtp({ seq: seq + 1 }, 500 - seq)];
      bench.ingress(udpFrame(whole, ends));
      await new Promise((done) => socket.send(partial, 5004, '127.0.0.1', done));
      sent.push(whole, partial);
    }
    await bench.drained();
  }, VIEWERS * sent.length);
  check(t, bench, copies, sent);
  socket.close();
  tcDetach(placeOn(ifindex('lo'), 1));
  await bench.close();
});

/** Sends so many packets back to back from a CPU; its source port is 6970 and the CPU's number. */
const burst = (cpu: number, packets: number) =>
  run('taskset', [
    ...['-c', `${cpu}`, 'build/wire/burst', '--from', `127.0.0.1:${6970 + cpu}`, '--to', '127.0.0.1:5004'],
    ...['--pps', '3000', '--bytes', '466', '--burst', '30', '--count', `${packets}`, '--ssrc', `${cpu + 1}`],
  ]);

for (const engine of ['tc', 'xdp'] as const)
  t.test(`${engine}: bursts from two CPUs`, { skip }, async (t) => {
    execFileSync('make', ['-s', '-C', 'tools/wire']);
    const bench = await KernelBench.create(engine);
    completeChecksums();
    addViewers(bench, bench.openLocal(5004), false);
    tcAttach(placeOn(ifindex('lo'), 1), bench.ingressFd);
    const packets = 40; // of each CPU: all copies fit into tcpdump's ring, however late that is
    // A busy machine may serve each packet before the next comes.
    for (let round = 0; round < 5 && bench.state.passes().parked === 0; round++) {
      const copies = await bench.capture(
        async () => {
          await Promise.all([0, 1].map((cpu) => burst(cpu, packets)));
          await bench.drained();
        },
        2 * packets * VIEWERS,
      );
      const first = copies.filter((c) => c.destinationPort === copies[0]!.destinationPort);
      t.equal(first.length, 2 * packets);
      checkCopies(
        t,
        bench,
        copies,
        first.map((c) => c.payload),
      );
    }
    t.ok(bench.state.passes().parked > 0, `${bench.state.passes().parked} were parked`);
    tcDetach(placeOn(ifindex('lo'), 1));
    await bench.close();
  });

t.test('a stream that is closed takes its parked packets with it', { skip }, async (t) => {
  const bench = await KernelBench.create();
  const stream = bench.open();
  addViewers(bench, stream, false);
  slowOutlet();
  for (let seq = 0; seq < 20; seq++) bench.ingress(udpFrame(rtp({ seq }, 1400)));
  t.ok(bench.state.ticketsOut() > 5, 'more wait than are carried');
  bench.state.commands.close(stream);
  await bench.drained();
  t.equal(bench.state.templatesOut(), 0);
  const again = bench.open();
  const next = bench.add(again, 1);
  for (let seq = 0; seq < 3; seq++) bench.ingress(udpFrame(rtp({ seq })));
  await bench.drained();
  t.equal(bench.state.viewer(next.slot).packets, 3, 'the next one there gets its own only');
  await bench.close();
});

t.test(
  'a template that is lost is given up, and from then on none is sent to another CPU',
  { skip },
  async (t) => {
    const bench = await KernelBench.create();
    const stream = bench.open();
    const viewers = Array.from({ length: Limit.PASS_COPIES + 8 }, (_, n) => bench.add(stream, n));
    t.equal(bench.state.steeredOver, cpus().length > 1 ? cpus().length : 0);
    bench.losingTemplates(() => {
      bench.ingress(udpFrame(rtp({ seq: 0 })));
      t.equal(bench.state.ticketsOut(), 1, 'not all were served in one pass');
      execFileSync('sleep', ['0.2']); // it is on its way
    });
    bench.ingress(udpFrame(rtp({ seq: 1 })));
    t.same(bench.drops(), {}, 'it may still come');
    await new Promise((resolve) => setTimeout(resolve, 2500)); // FANOUT_LOST_NS
    bench.ingress(udpFrame(rtp({ seq: 2 })));
    await bench.drained();
    t.same(bench.drops(), { 'ticket-lost': 1 });
    t.equal(bench.state.steeredOver, 0);
    const packets = viewers.map(({ slot }) => bench.state.viewer(slot).packets);
    t.same(
      [Math.min(...packets), Math.max(...packets)],
      [2, 3],
      'only what was left of that packet is missing',
    );
    await bench.close();
  },
);
