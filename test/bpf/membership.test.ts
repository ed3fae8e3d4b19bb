// SPDX-License-Identifier: Apache-2.0
// Membership is exact: viewers join and leave by the thousand while two sources, each on its own CPU, send bursts into one
// stream and tickets are in flight. Counted in the kernel, and once more where the copies arrive.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { Limit, Stream, Viewer } from '../../src/control/kernel/abi.gen.js';
import { tcAttach, tcDetach } from '../../src/control/kernel/libbpf.js';
import { shareMap } from '../../src/control/kernel/shared-memory.js';
import { placeOn } from '../../src/control/kernel/tc-filters.js';
import { Child } from '../../tools/netns/child.js';
import { KernelBench, ifindex } from '../fixtures/kernel-bench.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const SECONDS = 6;
/** Who stays all the time, and how many others are there at a time: the others are in two lanes. */
const RESIDENTS = Limit.LANE_SLOTS - 50;
const GUESTS = 150;
const MOST_VIEWERS = 25_000;

interface Row {
  readonly address: string;
  readonly port: number;
  readonly packets: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly old: number;
}

/** Where KernelBench.add() puts viewer `n`. */
const placeOfViewer = (n: number) => `10.1.${1 + (n >> 8)}.${n & 0xff}:${10000 + 2 * n}`;

interface Stay {
  readonly n: number;
  readonly slot: number;
  readonly firstTicket: number;
  remove(): void;
}

/** Packets that one CPU has given to another (receive packet steering): a column of each CPU's row. */
const steered = () =>
  readFileSync('/proc/net/softnet_stat', 'utf8')
    .trim()
    .split('\n')
    .reduce((sum, row) => sum + parseInt(row.split(' ')[9]!, 16), 0);

for (const engine of ['tc', 'xdp'] as const)
  t.test(`${engine}: who is there gets every packet once and in order, who is not gets none`, { skip }, (t) =>
    comeAndGo(t, engine),
  );

async function comeAndGo(t: Test, engine: 'tc' | 'xdp'): Promise<void> {
  execFileSync('make', ['-s', '-C', 'tools/wire']);
  const bench = await KernelBench.create(engine);
  const viewers = shareMap(
    bench.state.maps.get('viewers')!,
    Limit.MAX_PAGES * Limit.PAGE_SLOTS * Viewer.SIZE,
  ).view;
  const streams = shareMap(bench.state.maps.get('streams')!, Limit.MAX_STREAMS * Stream.SIZE).view;
  const stream = bench.openLocal(5004);
  tcAttach(placeOn(ifindex('lo'), 1), bench.ingressFd);
  const counter = await Child.start('build/wire/counter', ['--device', 'out1', '--ports', '10000-65535']);
  await counter.output(/ready/);

  let made = 0;
  const join = (): Stay => {
    const n = made++;
    const { slot, remove } = bench.add(stream, n);
    // Packets may be served to it already: read both until they belong together.
    for (;;) {
      const { packets } = bench.state.viewer(slot);
      const next = viewers.getUint32(slot * Viewer.SIZE + Viewer.next, true);
      if (packets === bench.state.viewer(slot).packets)
        return { n, slot, remove, firstTicket: (next - packets) | 0 };
    }
  };
  const expected = new Map<string, number>();
  const problems: string[] = [];
  const leave = (stay: Stay) => {
    const head = streams.getUint32(stream * Stream.SIZE + Stream.head, true);
    stay.remove();
    const next = viewers.getUint32(stay.slot * Viewer.SIZE + Viewer.next, true);
    const { packets, drops } = bench.state.viewer(stay.slot);
    const due = (next - stay.firstTicket) | 0;
    if (packets !== due) problems.push(`viewer ${stay.n}: ${packets} copies for ${due} tickets`);
    if (drops) problems.push(`viewer ${stay.n}: ${drops} drops`);
    if (((stay.firstTicket - head) | 0) < 0 && ((next - head) | 0) < 0)
      problems.push(`viewer ${stay.n}: finished tickets missed it`);
    if (packets) expected.set(placeOfViewer(stay.n), packets);
  };

  const residents = Array.from({ length: RESIDENTS }, join);
  const before = steered();
  const guests: Stay[] = [];
  const sources = await Promise.all(
    [0, 1].map((cpu) =>
      Child.start('taskset', [
        ...[
          '-c',
          `${cpu}`,
          'build/wire/burst',
          '--from',
          `127.0.0.1:${6970 + cpu}`,
          '--to',
          '127.0.0.1:5004',
        ],
        ...[
          '--pps',
          '271',
          '--bytes',
          '466',
          '--burst',
          `${cpu ? 30 : 3}`,
          '--seconds',
          `${SECONDS}`,
          '--ssrc',
          `${cpu + 1}`,
        ],
      ]),
    ),
  );
  const ended = Promise.all(sources.map((source) => source.exited));
  for (let running = true; running && made < MOST_VIEWERS - 10;) {
    for (let i = 0; i < 5; i++) {
      if (guests.length >= GUESTS) leave(guests.splice(Math.floor(Math.random() * guests.length), 1)[0]!);
      guests.push(join());
    }
    running = await Promise.race([
      ended.then(() => false),
      new Promise<boolean>((r) => setTimeout(r, 1, true)),
    ]);
  }
  await ended;
  await bench.drained();
  t.equal(bench.state.ticketsOut(), 0, 'all tickets come back');
  if (cpus().length > 1) t.ok(steered() > before, `templates went to other CPUs ${steered() - before} times`);
  const { packets, refused } = bench.state.stream(stream);
  for (const stay of [...residents, ...guests]) leave(stay);

  counter.write('\n');
  await counter.output(/\]\}\n/, 30_000);
  const { rows, overflow } = JSON.parse(counter.stdout.split('\n').find((line) => line.startsWith('{'))!) as {
    rows: Row[];
    overflow: number;
  };
  await counter.stop();
  t.equal(overflow, 0, 'all have been counted');
  const arrived = new Map<string, number>();
  // Where a kernel does not say what became of frames, they count as sent (bpf/xdp_copy.h).
  const unknown = engine === 'xdp' ? Number(bench.xdp.facts()['copies of unknown fate']) : 0;
  let unsure = unknown;
  for (const row of rows) {
    const name = `${row.address}:${row.port}`;
    arrived.set(name, (arrived.get(name) ?? 0) + row.packets);
    if (row.lost > refused + unsure || row.duplicated || row.reordered || row.old)
      problems.push(`${name}: ${JSON.stringify(row)}`);
  }
  for (const [name, count] of expected) {
    const got = arrived.get(name) ?? 0;
    if (got < count) unsure -= count - got;
    if (got > count || unsure < 0) problems.push(`${name}: ${count} sent, ${got} arrived`);
  }
  t.equal(arrived.size, expected.size, 'nobody else got anything');
  t.same(problems.slice(0, 10), []);
  // A processor that others are using may run out: then packets are refused, whole, at the entrance.
  t.same(bench.drops(), refused ? { 'no-ticket': refused } : {});
  t.ok(made > 2000, `${made} viewers joined`);
  const { passes, waits } = bench.state.passes();
  t.comment(
    `${packets} packets, ${refused} refused, ${made} viewers, ${passes} passes of which ${waits} waited, ` +
      `${unknown} copies of unknown fate, ${unknown - unsure} of them lost`,
  );
  const missed = residents.filter(({ n }) => expected.get(placeOfViewer(n)) !== packets - refused);
  t.same(missed, [], 'residents got all');
  tcDetach(placeOn(ifindex('lo'), 1));
  await bench.close();
}
