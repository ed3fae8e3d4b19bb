// SPDX-License-Identifier: Apache-2.0
// The benchmark of the datapath, small and short, so that it does not rot: it completes, every section measures something, and
// nothing is lost. No figure of time is judged here.
import t, { type Test } from 'tap';
import { readFileSync } from 'node:fs';
import type { Delivery } from '../../tools/bench/delivery.js';
import { type Results, report } from '../../tools/bench/report.js';
import type { BottleneckResult } from '../../tools/bench/sections/bottleneck.js';
import type { BystanderResult } from '../../tools/bench/sections/bystander.js';
import type { CostResult } from '../../tools/bench/sections/cost.js';
import type { FlatOutResult } from '../../tools/bench/sections/flat-out.js';
import type { LatencyResult } from '../../tools/bench/sections/latency.js';
import type { LossResult } from '../../tools/bench/sections/loss.js';
import type { MembershipResult } from '../../tools/bench/sections/membership.js';
import { Child } from '../../tools/netns/child.js';
import { canNetns } from '../../tools/netns/probe.js';
import { canMeasure } from '../../tools/wire/counter.js';
import { compiled } from './product.js';

t.setTimeout(280_000);

const skip = canNetns() ?? canMeasure() ?? false;
const DATAPATH = compiled('tools/bench/datapath.js');

interface Sections {
  readonly cost: CostResult;
  readonly flatOut: FlatOutResult;
  readonly loss: LossResult;
  readonly bottleneck: BottleneckResult;
  readonly latency: LatencyResult;
  readonly bystander: BystanderResult;
  readonly membership: MembershipResult;
}

t.test('--quick measures everything, and nothing is lost', { skip }, async (t) => {
  // XDP is measured by the suite below.
  const child = await Child.start(process.execPath, [DATAPATH, '--quick', '--engines', 'tc']);
  const { code } = await child.finish(180_000);
  t.equal(code, 0, 'it completes');
  if (code !== 0) t.comment(child.describe());
  const results = JSON.parse(readFileSync('build/bench/datapath-quick.json', 'utf8')) as Results;
  t.equal(child.stdout, report(results), 'what it prints is what it saved');
  t.notMatch(child.stdout, /NaN|undefined|Infinity/);

  const s = results.sections as unknown as Sections;
  for (const { name, delivered, made, programs } of s.cost.ways) {
    t.ok(delivered.copiesPerSecond > 0, `${name} delivers`);
    t.ok(made.copiesPerSecond > 0, `${name} makes copies`);
    if (programs) t.ok(programs.nsPerCopy > 0, 'the kernel timed the programs');
  }
  t.strictSame(
    s.cost.ways.map(({ name }) => name),
    ['tc', 'sendto', 'sendmmsg'],
  );
  t.ok(s.flatOut.sizes.every(({ copiesPerSecond }) => copiesPerSecond.median > 0));
  const runs = s.loss.engines.flatMap((engine) => engine.runs);
  for (const delivery of [...runs, s.membership.delivery]) exact(t, delivery);
  t.equal(runs.length, 3, 'three lengths of bursts');
  const [wide] = s.bottleneck.runs;
  t.match(wide, { width: 1.2, deferral: true }, 'the wider link, with deferral');
  exact(t, wide!.delivery);
  for (const { packets, incomplete } of s.latency.runs) {
    t.ok(packets > 0, `${packets} packets timed`);
    t.equal(incomplete, 0, 'each with all its copies');
  }
  t.equal(s.bystander.runs.length, 2, 'TCP and UDP');
  t.ok(s.membership.joinMs.p50 > 0 && s.membership.readMs.p50 > 0);
});

t.test('beside XDP it is measured what the kernel’s broadcast alone costs', { skip }, async (t) => {
  const child = await Child.start(process.execPath, [
    ...[DATAPATH, '--quick', '--engines', 'xdp', '--only', 'cost'],
  ]);
  const { code } = await child.finish(90_000);
  t.equal(code, 0, 'it completes');
  if (code !== 0) t.comment(child.describe());
  const results = JSON.parse(readFileSync('build/bench/datapath-quick.json', 'utf8')) as Results;
  const { viewers, pps, broadcast } = (results.sections as unknown as Sections).cost;
  const due = viewers * pps;
  t.ok(Math.abs(broadcast!.copiesPerSecond - due) < due / 5, `${broadcast!.copiesPerSecond} copies/s`);
  t.match(child.stdout, /XDP’s broadcast alone/);
});

function exact(t: Test, d: Delivery): void {
  const { lost, duplicated, reordered } = d;
  const what = `${d.viewers} viewers, bursts of ${d.traffic.burst}`;
  t.strictSame({ lost, duplicated, reordered }, { lost: 0, duplicated: 0, reordered: 0 }, what);
  t.equal(d.arrived, d.sent * d.viewers, `${d.sent} packets to each`);
}
