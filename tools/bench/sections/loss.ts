// SPDX-License-Identifier: Apache-2.0
// Lost, duplicated, reordered with thousands of viewers and packets back to back; and from how many viewers on it begins.
import { type Delivery, deliverTo, isExact, losses } from '../delivery.js';
import type { EngineName } from '../engines.js';
import { figure, table, verdict } from '../markdown.js';
import { Path } from '../path.js';
import type { Context, Section } from '../section.js';

const RATE = { pps: 271, bytes: 466 };
const BURSTS = [1, 10, 30];
const TARGET_VIEWERS = 2000;
const THESIS_VIEWERS = 4800;
const STEP = 400;
const QUICK_VIEWERS = 100;
const TARGET = '0 lost, 0 duplicated, 0 reordered';

export interface LossResult {
  readonly targetViewers: number;
  readonly engines: readonly EngineLoss[];
}

interface EngineLoss {
  readonly engine: EngineName;
  readonly runs: readonly Delivery[];
  /** With the longest bursts, from few viewers to many until something is lost. */
  readonly ladder: readonly Delivery[];
}

async function measureEngine(context: Context, engine: EngineName): Promise<EngineLoss> {
  const sizes = context.quick ? [QUICK_VIEWERS] : [TARGET_VIEWERS, THESIS_VIEWERS];
  const seconds = context.quick ? 1 : 15;
  const path = await Path.build(context.addresses);
  const runs: Delivery[] = [];
  const deliver = (viewers: number, burst: number) => {
    context.progress(`loss: ${engine}, ${viewers} viewers, bursts of ${burst}`);
    return deliverTo(path, engine, viewers, { ...RATE, burst }, seconds);
  };
  try {
    for (const viewers of sizes) for (const burst of BURSTS) runs.push(await deliver(viewers, burst));
    const ladder: Delivery[] = [];
    const longest = BURSTS.at(-1)!;
    const top = runs.at(-1)!;
    for (let n = sizes[0]! + STEP; !isExact(top) && n < top.viewers && ladder.every(isExact); n += STEP)
      ladder.push(await deliver(n, longest));
    return { engine, runs, ladder };
  } finally {
    await path.close();
  }
}

async function measure(context: Context): Promise<LossResult> {
  const engines: EngineLoss[] = [];
  for (const engine of context.engines) engines.push(await measureEngine(context, engine));
  return { targetViewers: context.quick ? QUICK_VIEWERS : TARGET_VIEWERS, engines };
}

function row(d: Delivery): string[] {
  const { burst } = d.traffic;
  const counts = [d.viewers, burst, d.sent * d.viewers, d.lost, d.duplicated, d.reordered].map((n) =>
    figure(n),
  );
  return [...counts, figure(d.passes, 1), figure(d.full, 1), losses(d)];
}

const HEAD = [
  'viewers',
  'burst',
  'copies due',
  'lost',
  'duplicated',
  'reordered',
  'passes per packet',
  'full egress per packet',
  'lost where',
];

function renderEngine({ engine, runs, ladder }: EngineLoss, targetViewers: number): string[] {
  const wanted = runs.filter(({ viewers }) => viewers === targetViewers);
  const beyond = runs.filter(({ viewers }) => viewers !== targetViewers);
  const firstLoss = ladder.find((d) => !isExact(d));
  const text = [
    `### ${engine}`,
    table(HEAD, runs.map(row)),
    `${figure(targetViewers)} viewers: ${verdict(wanted.every(isExact), TARGET)}.`,
  ];
  if (beyond.length > 0) {
    const said = engine === 'xdp' ? 'told, no target' : verdict(beyond.every(isExact), TARGET);
    text.push(`${figure(beyond[0]!.viewers)} viewers: ${said}.`);
  }
  if (ladder.length > 0)
    text.push(
      `From how many viewers on, with bursts of ${ladder[0]!.traffic.burst}:`,
      table(HEAD, ladder.map(row)),
      firstLoss
        ? `The first loss comes at ${figure(firstLoss.viewers)} viewers: ${losses(firstLoss)}.`
        : 'None of these lost any.',
    );
  return text;
}

function render(r: LossResult): string[] {
  const { seconds, traffic } = r.engines[0]!.runs[0]!;
  return [
    `${traffic.pps} packets/s of ${traffic.bytes} B on average, ${seconds} s each, counted per viewer by sequence number where they ` +
      'arrive (net.core.dev_weight is global and was left alone).',
    ...r.engines.flatMap((one) => renderEngine(one, r.targetViewers)),
  ];
}

export const loss: Section<LossResult> = {
  name: 'loss',
  title: 'Lost, duplicated, reordered',
  measure,
  render,
};
