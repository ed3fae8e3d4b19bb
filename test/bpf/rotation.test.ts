// SPDX-License-Identifier: Apache-2.0
// Fairness: the order of service moves on by one viewer with every packet, whoever joins and leaves.
import { fileURLToPath } from 'node:url';

import { Stream } from '../../src/control/kernel/abi.gen.js';
import { onBothEngines } from '../fixtures/engines.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { KernelBench } from '../fixtures/kernel-bench.js';
import { rtp, udpFrame } from '../fixtures/packets.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const VIEWERS = 90;
const PACKETS = 9000;

onBothEngines(
  'of 9000 packets, each of 90 viewers is served first 100 times',
  { skip },
  async (t, engine) => {
    const bench = await KernelBench.create(engine);
    const stream = bench.open();
    const all = Array.from({ length: VIEWERS + 30 }, (_, n) => bench.add(stream, n));
    const viewers = all.filter((viewer, n) => n % 4 !== 0 || !(viewer.remove(), true));
    t.equal(viewers.length, VIEWERS, 'between them, places that others have left');
    for (let i = 0; i < PACKETS; i++) {
      bench.ingress(udpFrame(rtp({ seq: i })));
      if (i % VIEWERS === 0) await bench.drained(); // they may be copied on another CPU, which would not keep up
    }
    await bench.drained();
    const read = viewers.map((viewer) => bench.state.viewer(viewer.slot));
    t.same(new Set(read.map((r) => r.first)), new Set([PACKETS / VIEWERS]));
    t.same(new Set(read.map((r) => r.packets)), new Set([PACKETS]));
    t.same(bench.drops(), {});
    await bench.close();
  },
);

onBothEngines('places behind the last viewer are not gone through', { skip }, async (t, engine) => {
  const bench = await KernelBench.create(engine);
  const stream = bench.open();
  const span = () => bench.state.tables.streams.getUint32(stream * Stream.SIZE + Stream.span, true);
  const all = Array.from({ length: 600 }, (_, n) => bench.add(stream, n));
  t.equal(span(), 600);
  const [stay, leave] = [all.slice(0, 10), all.slice(10)];
  for (let i = 0; i < leave.length; i++) leave[(i * 7) % leave.length]!.remove();
  t.equal(span(), 10);
  const send = async (seq: number) => {
    bench.ingress(udpFrame(rtp({ seq })));
    await bench.drained();
  };
  await send(1);
  stay[9]!.remove();
  stay[3]!.remove();
  t.equal(span(), 9, 'there is somebody behind the one that has left');
  await send(2);
  const more = [20, 21, 22].map((n) => bench.add(stream, n));
  t.equal(span(), 11, 'free places first');
  await send(3);
  const packets = (viewers: typeof all) => viewers.map(({ slot }) => bench.state.viewer(slot).packets);
  t.same(packets(stay.filter((_, n) => n !== 9 && n !== 3)), Array(8).fill(3));
  t.same(packets(more), [1, 1, 1]);
  for (const viewer of [...stay.filter((_, n) => n !== 9 && n !== 3), ...more]) viewer.remove();
  t.equal(span(), 0);
  t.same(bench.drops(), {});
  await bench.close();
});

onBothEngines('the same, read off the wire over one turn', { skip }, async (t, engine) => {
  const bench = await KernelBench.create(engine);
  const stream = bench.open();
  for (let n = 0; n < VIEWERS; n++) bench.add(stream, n);
  const copies = await bench.capture(async () => {
    for (let i = 0; i < VIEWERS; i++) {
      bench.ingress(udpFrame(rtp({ seq: i })));
      if (i % 2) await new Promise((resolve) => setTimeout(resolve, 1)); // evenly spaced: the far end drains
    }
  });
  t.equal(copies.length, VIEWERS * VIEWERS);
  const { passes } = bench.state.passes();
  if (engine === 'tc')
    t.ok(
      passes < 1.5 * VIEWERS,
      `${passes} passes for ${VIEWERS} packets: the first of all may be in the middle`,
    );
  const firsts = copies.filter((_, i) => i % VIEWERS === 0).map((copy) => copy.destinationPort);
  t.equal(new Set(firsts).size, VIEWERS, 'each viewer is first once');
  for (let i = 0; i < VIEWERS; i++) {
    const order = copies.slice(i * VIEWERS, (i + 1) * VIEWERS);
    if (new Set(order.map((c) => c.destinationPort)).size !== VIEWERS) t.fail(`packet ${i} missed somebody`);
    const from = (order[0]!.destinationPort - 10000) / 2;
    const wanted = order.map((_, k) => 10000 + 2 * ((from + k) % VIEWERS));
    if (order.some((c, k) => c.destinationPort !== wanted[k])) t.fail(`packet ${i} was served out of turn`);
  }
  await bench.close();
});
