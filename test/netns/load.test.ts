// SPDX-License-Identifier: Apache-2.0
// Many viewers through the kernel engine, counted by a BPF program at their side: nothing lost, duplicated or reordered,
// in bursts as a key frame makes them; what the proxy process itself needs for it; a viewer that falls silent.
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { workOf } from '../../tools/netns/child.js';
import { canNetns } from '../../tools/netns/probe.js';
import { until } from '../../tools/netns/wait.js';
import { type Counted, canMeasure } from '../../tools/wire/counter.js';
import { LoadPath } from './load-path.js';

// The runner's limit for a file is the one that counts, not tap's 30 s.
t.setTimeout(280_000);

const skip = canNetns() ?? canMeasure() ?? false;
const BYTES = 466;
const PPS = 271;

/** Every viewer has got every packet exactly once and in order. */
function exact(t: Test, counted: Counted, viewers: number, sent: number): void {
  t.equal(counted.rows.length, viewers, 'each viewer got something');
  t.equal(counted.rtp, viewers * sent, `${viewers} viewers x ${sent} packets`);
  const wrong = counted.rows.filter(
    (row) =>
      row.packets !== sent ||
      row.bytes !== sent * BYTES ||
      row.lost + row.duplicated + row.reordered + row.old !== 0 ||
      row.firstSeq !== 0,
  );
  t.strictSame(wrong.slice(0, 3), [], 'nothing lost, duplicated or reordered for any viewer');
  t.match(counted, { other: 0, aggregated: 0, overflow: 0 });
}

/**
 * Two viewers, one of which stops in its tracks (SIGSTOP): its connection stays open, but nothing comes from it any
 * more. Takes the session timeout, so it
 * runs beside the other tests of this file, which it hardly disturbs.
 */
async function frozenViewer() {
  const path = await LoadPath.build({ addresses: 1 });
  try {
    const { crowd: frozen } = await path.join(1, 1, '/load', '20000-20001');
    const { crowd: living } = await path.join(1, 1, '/load', '20002-20003');
    const started = performance.now();
    frozen.signal('SIGSTOP');
    const sending = path.send(['--pps', '100', '--bytes', '466', '--burst', '10', '--seconds', '70']);
    await until(
      'the frozen viewer to be forgotten',
      async () => (await path.product.clients()).length === 1,
      90_000,
    );
    const seconds = (performance.now() - started) / 1000;
    const sent = await sending;
    const { rows } = await path.counter.settled();
    const packets = (port: number) => rows.find((row) => row.port === port)!.packets;
    frozen.signal('SIGCONT');
    const { failures } = await path.leave(living);
    await frozen.stop('SIGKILL');
    return { seconds, sent: sent.sent, frozen: packets(20_000), living: packets(20_002), failures };
  } finally {
    await path.close();
  }
}
const frozen = skip ? undefined : frozenViewer();
frozen?.catch(() => {}); // told below

async function shareOfASecond(pid: number): Promise<number> {
  const [before, began] = [workOf(pid).seconds, performance.now()];
  await sleep(1000);
  return (workOf(pid).seconds - before) / ((performance.now() - began) / 1000);
}

t.test('90 viewers of 1 Mbit/s: no loss, and the process hardly notices', { skip }, async (t) => {
  const VIEWERS = 90;
  const SECONDS = 20;
  const SETTLE_SECONDS = 5; // what is left of joining is no part of it
  const path = await LoadPath.build({ addresses: VIEWERS });
  try {
    const { crowd, result } = await path.join(VIEWERS, 90);
    t.equal(result.joined, VIEWERS, JSON.stringify(result));
    const { pid } = path.product.child;
    const sending = path.send([
      ...['--pps', String(PPS), '--bytes', String(BYTES), '--burst', '1', '--seconds', String(SECONDS)],
    ]);
    await sleep(1000 * SETTLE_SECONDS);
    const [before, began] = [workOf(pid), performance.now()];
    const shares: number[] = [];
    for (let i = SETTLE_SECONDS; i < SECONDS - 1; i++) shares.push(await shareOfASecond(pid));
    const wakes = (workOf(pid).sleeps - before.sleeps) / ((performance.now() - began) / 1000);
    const sent = await sending;
    exact(t, await path.counter.settled(), VIEWERS, sent.sent);
    // In most seconds: now and then garbage is collected, or the machine's host is busy.
    const percent = (100 * shares.sort((a, b) => a - b)[shares.length >> 1]!).toFixed(2);
    t.comment(
      `the proxy process used ${percent} % of a core and was woken ${wakes.toFixed(1)} times a second`,
    );
    t.ok(Number(percent) < 1, `${percent} % of a core: under 1 %`);
    t.ok(wakes < PPS / 10, `woken ${wakes.toFixed(1)} times a second: not by ${PPS} packets`);

    const turns = (await path.counter.read()).rows.map((row) => row.first);
    const even = sent.sent / VIEWERS;
    t.ok(
      turns.every((n) => n >= Math.floor(even) && n <= Math.ceil(even)),
      `each was served first ${even.toFixed(1)} times: ${Math.min(...turns)} to ${Math.max(...turns)}`,
    );
    const clients = await path.product.clients();
    t.ok(
      clients.every(({ tracks }) => tracks[0]!.packets === sent.sent && tracks[0]!.servedBy === 'kernel'),
      'and the proxy tells the same of each viewer',
    );
    t.strictSame((await path.leave(crowd)).failures, {});
    const reports = path.origin.stdout.match(/"event":"rtcp","type":201/g) ?? [];
    t.ok(reports.length >= 2, `the origin got ${reports.length} receiver reports`);
  } finally {
    await path.close();
  }
});

// As containers are connected: without GRO a veth has no NAPI, and what comes waits in the backlog of the CPU that sent it.
// Two CPUs make the copies of so many viewers, each viewer's always the same, or they would come in another order.
t.test('600 viewers, bursts of 1, 10 and 30 packets back to back', { skip }, async (t) => {
  const VIEWERS = 600;
  const SECONDS = 5;
  const device = 'down0';
  const path = await LoadPath.build({
    ...{ addresses: 50, offloads: { gro: false }, queues: 2 },
    prepare: async ({ proxy }) => void (await proxy.run('tc', ['qdisc', 'add', 'dev', device, 'root', 'mq'])),
  });
  try {
    for (const burst of [1, 10, 30]) {
      const { crowd, result } = await path.join(VIEWERS, VIEWERS, `/burst${burst}`);
      t.equal(result.joined, VIEWERS, JSON.stringify(result));
      const ssrc = 1000 + burst;
      const sent = await path.send([
        ...['--pps', String(PPS), '--bytes', String(BYTES), '--burst', String(burst)],
        ...['--seconds', String(SECONDS), '--ssrc', String(ssrc)],
      ]);
      const all = await path.counter.settled();
      const rows = all.rows.filter((row) => row.ssrc === ssrc);
      const rtp = rows.reduce((sum, row) => sum + row.packets, 0);
      t.comment(`burst ${burst}: joins p99 ${result.joinMs?.p99} ms, latest burst ${sent.latestMs} ms late`);
      exact(t, { ...all, rows, rtp }, VIEWERS, sent.sent);
      t.strictSame((await path.leave(crowd)).failures, {});
    }
    const classes = await path.topology.proxy.run('tc', ['-s', 'class', 'show', 'dev', device]);
    const queues = [...classes.matchAll(/ (\d+) pkt /g)].map(([, packets]) => Number(packets));
    t.equal(queues.length, 2);
    if (cpus().length > 1) t.ok(Math.min(...queues) > 10_000, `each CPU has a queue of its own: ${queues}`);
  } finally {
    await path.close();
  }
});

t.test('a viewer that falls silent is forgotten', { skip }, async (t) => {
  const { seconds, sent, frozen: before, living, failures } = await frozen!;
  t.ok(seconds > 50 && seconds < 70, `after ${seconds.toFixed(1)} s; its session timeout was 60 s`);
  t.ok(before > 5000 && before < sent, `it got ${before} of ${sent} packets until then, and none after`);
  t.equal(living, sent, 'the other one got every packet');
  t.strictSame(failures, {});
});
