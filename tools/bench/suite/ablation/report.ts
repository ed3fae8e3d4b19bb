// SPDX-License-Identifier: Apache-2.0
// The ablation told: a table, and a bar for each way of copying, made of its parts.
import { figure, range, table } from '../../markdown.js';
import { type Figure, image, SIZE } from '../../plot.js';
import { type Part, PART_NAMES } from './parts.js';
import type { AblationResult, AblationWay } from './section.js';

/** Below this in every way a part is noise, us. */
const LEAST_US = 0.002;

function partsIn(ways: readonly AblationWay[]): Part[] {
  return PART_NAMES.filter((part) => ways.some(({ parts }) => parts && Math.abs(parts[part]) >= LEAST_US));
}

/** Nothing where nothing could be sampled. */
export function ablationFigure({ ways }: AblationResult): Figure[] {
  const values = ways.flatMap(({ name, parts }) =>
    partsIn(ways).map((part) => ({ name, part, us: Math.max(0, parts?.[part] ?? 0) })),
  );
  if (values.length === 0) return [];
  return [
    {
      name: 'suite-ablation',
      alt: 'what a delivered copy costs the machine, and what that consists of, for five ways to make it',
      spec: {
        ...SIZE,
        height: 220,
        data: { values },
        mark: 'bar',
        encoding: {
          y: { field: 'name', type: 'nominal', title: null, sort: null, axis: { labelLimit: 200 } },
          x: {
            field: 'us',
            type: 'quantitative',
            title: 'machine cost per delivered copy, us',
            stack: 'zero',
          },
          color: { field: 'part', type: 'nominal', title: null, sort: null, scale: { scheme: 'tableau20' } },
          order: { field: 'order', type: 'quantitative' },
        },
        transform: [{ calculate: `indexof(${JSON.stringify(PART_NAMES)}, datum.part)`, as: 'order' }],
      },
    },
  ];
}

const sum = ({ parts }: AblationWay) => Object.values(parts ?? {}).reduce((all, us) => all + us, 0);

/** By samples where there are some: they leave out what else the machine did meanwhile. */
const cost = (way: AblationWay) => (way.parts ? sum(way) : way.microseconds.median);

function steps(ways: readonly AblationWay[]): string {
  const against = (a: AblationWay, b: AblationWay) => figure(cost(a) / cost(b), 2);
  const each = ways.slice(1).map((way, i) => `${way.name} ${against(ways[i]!, way)}`);
  const all = against(ways[0]!, ways.at(-1)!);
  return `How many times cheaper than the one before, by ${ways[0]!.parts ? 'samples' : 'the spinners'}: ${each.join(', ')}; the last against the first ${all}.`;
}

export function renderAblation(r: AblationResult): string[] {
  const parts = partsIn(r.ways);
  const sampled = {
    cycles: 'the processor’s cycle counter',
    'cpu-clock':
      'the kernel’s cpu-clock (this machine shows no counters; code that runs with interrupts off counts for where they go on again)',
  };
  return [
    `${r.viewers} viewers x ${r.pps} packets/s x ${r.bytes} B of RTP. The cost is what one SCHED_IDLE spinner per core loses, the origin taken off, ` +
      'over the link to where the viewers’ device counts and drops the copy. Linear: the source’s packet is one piece of ' +
      'memory, which each copy gets of its own. Paged: its payload stays in a page (as many network cards leave it), which ' +
      `all copies share. The idle machine, taken off, kept ${range(r.idle, 3)} cores busy.`,
    table(
      ['', 'us per copy', 'copies/s', 'ns per copy in our programs, by the kernel’s count'],
      r.ways.map(({ name, microseconds, copiesPerSecond, programNs }) => [
        name,
        range(microseconds, 3),
        figure(copiesPerSecond),
        programNs === undefined ? 'none run' : figure(programNs),
      ]),
    ),
    ...(r.ways.length > 1 ? [steps(r.ways)] : []),
    ...(r.event === undefined
      ? ['What the cost is made of is not shown: there is no `perf` here, or it may not sample.']
      : [
          `What it is made of, us per copy: samples of all cores by ${sampled[r.event]}, the origin’s taken off. A sample counts for its ` +
            'innermost function that belongs to a part, so memory and locks count for what needed them; `other tracing` is what else on this machine watches sockets. The programs’ own ' +
            'count above includes cloning and queueing to the device, which they call. Below zero: the origin alone did more of it, ' +
            'such as waking cores that the copies keep awake.',
          table(
            ['', ...r.ways.map(({ name }) => name)],
            [
              ...parts.map((part) => [part, ...r.ways.map((way) => figure(way.parts?.[part] ?? NaN, 3))]),
              ['sum', ...r.ways.map((way) => figure(sum(way), 3))],
            ],
          ),
          ...ablationFigure(r).map(image),
        ]),
  ];
}
