// SPDX-License-Identifier: Apache-2.0
// Fan-out through queues that not every kernel has: fq, and netem with delay, with too little room, and with loss; and
// viewers that come and go. Small and slow on purpose: `make test-kernel` runs it on an emulated machine.
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { tcAttach } from '../../src/control/kernel/libbpf.js';
import { placeOn } from '../../src/control/kernel/tc-filters.js';
import { Child, run } from '../../tools/netns/child.js';
import { until } from '../../tools/netns/wait.js';
import { wireTool } from '../../tools/wire/counter.js';
import { KernelBench, ifindex } from '../fixtures/kernel-bench.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';

const noNamespace = enterOwnNamespace(fileURLToPath(import.meta.url));
const VIEWERS = 30;
const PORT = 5004;
const SETTLE_MS = 20_000;

/** One line per viewer and source of what the counting program saw. */
interface Row {
  readonly packets: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
}

interface Outcome {
  /** Packets that the source sent. */
  readonly sent: number;
  readonly rows: readonly Row[];
  /** What the queueing discipline says has gone through it. */
  readonly queued: number;
  /** Copies made for each viewer, those who left included. */
  readonly perViewer: readonly number[];
  readonly drops: Record<string, number>;
  readonly egressFull: number;
  /** What the device behind the queue had no room for: more than 256 copies that nobody fetched. */
  readonly spilt: number;
}

/** Why this queueing discipline cannot be tested here, or false. */
function lacks(kind: string): string | false {
  if (noNamespace) return noNamespace;
  spawnSync('ip', ['link', 'add', 'probe0', 'type', 'veth', 'peer', 'name', 'probe1']);
  const { status } = spawnSync('tc', ['qdisc', 'add', 'dev', 'probe0', 'root', kind]);
  spawnSync('ip', ['link', 'del', 'probe0']);
  return status === 0 ? false : `this kernel has no ${kind}; make test-kernel boots one that has`;
}

/** Sends bursts through VIEWERS viewers into the discipline, and waits until all copies have left it. With `change`, one
 * viewer leaves and another joins in its place every so many milliseconds meanwhile. */
async function fanOut(discipline: string[], burst: number, change?: number): Promise<Outcome> {
  const bench = await KernelBench.create();
  let timer: NodeJS.Timeout | undefined;
  try {
    execFileSync('tc', ['qdisc', 'replace', 'dev', 'out0', 'root', ...discipline]);
    const stream = bench.openLocal(PORT);
    tcAttach(placeOn(ifindex('lo'), 1), bench.ingressFd);
    const counter = await Child.start(wireTool('counter'), ['--device', 'out1', '--ports', '10000-20000']);
    await counter.output(/ready/);
    const playing = Array.from({ length: VIEWERS }, (_, n) => bench.add(stream, n));
    const perViewer: number[] = [];
    const leave = (viewer: (typeof playing)[number]) => {
      viewer.remove();
      perViewer.push(bench.state.viewer(viewer.slot).packets);
    };
    let joined = VIEWERS;
    const replaceOne = () => {
      leave(playing.shift()!);
      playing.push(bench.add(stream, joined++));
    };
    if (change !== undefined) timer = setInterval(replaceOne, change);
    const sent = await sendBursts(burst);
    clearInterval(timer);
    await until('all tickets to come back', () => bench.state.ticketsOut() === 0, SETTLE_MS);
    await until('the queue to run empty', () => queue().backlog === 0, SETTLE_MS);
    await counter.finish();
    const { rows } = JSON.parse(counter.stdout.trim().split('\n').at(-1)!) as { rows: Row[] };
    playing.forEach(leave);
    const { egressFull } = bench.state.passes();
    const [queued, spilt] = [queue().packets, spiltPackets()];
    return { sent, rows, queued, perViewer, drops: bench.drops(), egressFull, spilt };
  } finally {
    clearInterval(timer);
    await bench.close();
  }
}

/** Returns how many packets it has sent. */
async function sendBursts(burst: number): Promise<number> {
  const load = ['--pps', '30', '--bytes', '466', '--burst', `${burst}`, '--seconds', '4'];
  const ends = ['--from', '127.0.0.1:6970', '--to', `127.0.0.1:${PORT}`];
  const { sent } = JSON.parse(await run(wireTool('burst'), [...ends, ...load])) as { sent: number };
  return sent;
}

function queue(): { kind: string; packets: number; backlog: number } {
  const shown = execFileSync('tc', ['-s', '-j', 'qdisc', 'show', 'dev', 'out0'], { encoding: 'utf8' });
  const [first] = JSON.parse(shown) as { kind: string; packets: number; backlog: number }[];
  if (!first) throw new Error('out0 has no queueing discipline');
  return first;
}

function spiltPackets(): number {
  const shown = execFileSync('ip', ['-s', '-j', 'link', 'show', 'dev', 'out0'], { encoding: 'utf8' });
  const [link] = JSON.parse(shown) as [{ stats64: { tx: { dropped: number } } }];
  return link.stats64.tx.dropped;
}

/** Each viewer has been sent, and has got, each packet once and in order. */
function allThere(t: Test, { sent, rows, perViewer, drops, queued, spilt }: Outcome): void {
  t.ok(sent > 50, `${sent} packets sent`);
  t.same(new Set(perViewer), new Set([sent]), 'copies made, by viewer');
  t.same(drops, {});
  t.equal(spilt, 0, 'the device takes what the queue lets out');
  t.equal(queued, sent * VIEWERS, 'all of them through the queue');
  t.equal(rows.length, VIEWERS);
  for (const { packets, lost, duplicated, reordered } of rows)
    t.same({ packets, lost, duplicated, reordered }, { packets: sent, lost: 0, duplicated: 0, reordered: 0 });
}

t.test('through fq', { skip: lacks('fq') }, async (t) => {
  allThere(t, await fanOut(['fq'], 8));
});

t.test('through a delay', { skip: lacks('netem') }, async (t) => {
  allThere(t, await fanOut(['netem', 'delay', '20ms', 'limit', '10000'], 8));
});

t.test('through a queue much shorter than a burst', { skip: lacks('netem') }, async (t) => {
  const outcome = await fanOut(['netem', 'delay', '10ms', 'limit', '100'], 20);
  allThere(t, outcome);
  t.ok(outcome.egressFull > 0, `it was full ${outcome.egressFull} times`);
});

t.test('what the network loses is no drop of ours', { skip: lacks('netem') }, async (t) => {
  const { sent, rows, perViewer, drops } = await fanOut(['netem', 'loss', '30%'], 10);
  t.same(new Set(perViewer), new Set([sent]), 'copies made, by viewer');
  t.same(drops, {});
  const arrived = rows.reduce((sum, row) => sum + row.packets, 0);
  t.ok(arrived > 0.5 * sent * VIEWERS && arrived < 0.9 * sent * VIEWERS, `${arrived} of ${sent * VIEWERS}`);
  for (const { duplicated, reordered } of rows)
    t.same({ duplicated, reordered }, { duplicated: 0, reordered: 0 });
});

t.test('viewers who come and go meanwhile get all that is between', { skip: lacks('fq') }, async (t) => {
  const { rows, perViewer, drops, queued, spilt } = await fanOut(['fq'], 8, 30);
  t.same(drops, {});
  t.equal(spilt, 0, 'the device takes what the queue lets out');
  t.ok(perViewer.length > VIEWERS + 20, `${perViewer.length} viewers`);
  for (const { lost, duplicated, reordered } of rows)
    t.same({ lost, duplicated, reordered }, { lost: 0, duplicated: 0, reordered: 0 });
  const sorted = (counts: readonly number[]) => [...counts].sort((a, b) => a - b);
  t.same(sorted(rows.map((row) => row.packets)), sorted(perViewer.filter((packets) => packets > 0)));
  t.equal(
    queued,
    perViewer.reduce((sum, packets) => sum + packets, 0),
  );
});
