// SPDX-License-Identifier: Apache-2.0
// What `make bench-layers` has measured, as Markdown.
import { figures, nameOf } from './layers/plots.js';
import type { BesideTcpRun } from './layers/beside-tcp.js';
import { CUMULATIVE_KBIT, FRAME, FRAME_RTP } from './layers/context.js';
import type { SharingResult } from './layers/sharing.js';
import type { StepsRun } from './layers/steps.js';
import type { Machine } from './machine.js';
import type { Busy } from './layers/busy.js';
import { figure, table, verdict } from './markdown.js';
import { image as imageOf } from './plot.js';

export interface LayersResults {
  /** ISO 8601, UTC. */
  readonly measured: string;
  readonly quick: boolean;
  /** Only some of the runs were wanted. */
  readonly partial?: boolean;
  readonly minutes: number;
  readonly machine: Machine;
  /** Processes that wanted a core before the run, mean of a minute: above 0.5 the machine was not quiet. */
  readonly loadBefore?: number;
  readonly sharing: SharingResult;
  readonly steps: readonly StepsRun[];
  readonly besideTcp: readonly BesideTcpRun[];
}

export function renderLayers(r: LayersResults): string[] {
  const { processor, cores, kernel, commit } = r.machine;
  const drawn = figures(r.sharing, r.steps);
  const image = (i: number) => imageOf(drawn[i]!);
  return [
    'Written by `make bench-layers` from [benchmarks/layers.json](benchmarks/layers.json). Camera, proxy (TC), router and viewers are ' +
      `network namespaces on one machine (${cores} cores of ${processor}, kernel ${kernel}, commit ${commit}, ${r.measured}); each run has ` +
      'a proxy of its own. Viewers send receiver reports every 2.5 to 7.5 s.',
    r.loadBefore === undefined
      ? 'How busy the machine was is not recorded: read the losses with care, a camera that has to wait for a core sends bursts.'
      : `Load of the machine before the run: ${figure(r.loadBefore, 1)}. Beside each run: how much of each core's time was idle, and by how ` +
        'much the camera sent late (the worst of each second: median, and of all). A late camera sends bursts, which queues lose.',
    ...(r.quick ? ['**A quick run: it shows that everything works, the figures mean nothing.**'] : []),
    `## ${r.sharing.linkMbit} Mbit/s for all`,
    `A made-up stream of eight H.264 SVC layers, ${CUMULATIVE_KBIT.join(', ')} kbit/s of RTP up to each, 271 packets/s; a token bucket ` +
      'with a plain queue at a router beyond the proxy, or at the proxy’s own interface. Offered: copies that were due, sent or not. Above ' +
      `80 viewers \`aimd\` has had ${r.sharing.settleSeconds} s, \`thesis\` half as long to settle, then as long or less is measured; all as frames.`,
    image(0),
    image(1),
    sharingTable(r.sharing),
    ...verdicts(r.sharing),
    '## A link that steps',
    'One viewer of the real clip (OpenH264, three spatial layers of 0.15, 0.45 and 1 Mbit/s in all). What it got is put together and ' +
      'decoded by OpenH264 without concealment; counted are pictures that come 15 s (two reports) after a step or later.',
    image(2),
    stepsTable(r.steps),
    ...r.steps.map((run) => {
      const bad = run.settled.reduce((sum, { undecodable }) => sum + undecodable, 0);
      const where = run.bottleneck === 'own' ? 'Our own interface' : 'A router beyond';
      return `${where}: ${bad} pictures that cannot be decoded: ${verdict(bad === 0, 'every one, from two reports after each step on')}.`;
    }),
    '## A TCP flow beside viewers',
    'One TCP flow (the kernel’s congestion control) through the same router’s queue, beside viewers that want more than the link has.',
    tcpTable(r.besideTcp),
    ...r.besideTcp
      .filter(({ policy }) => policy === 'aimd')
      .map(
        ({ tcpMbit, fairMbit }) =>
          `The flow gets ${figure((100 * tcpMbit) / fairMbit)} % of an even share: ` +
          `${verdict(tcpMbit >= fairMbit / 2, 'at least half of it')}.`,
      ),
  ];
}

const BUSY = ['cores idle %', 'camera late ms'] as const;

/** Of each core; the worst of a second of the camera, median and most. */
function busyCells(busy: Busy | undefined): string[] {
  if (!busy) return ['', ''];
  const { median, most } = busy.cameraLateMs;
  return [
    busy.idle.map((share) => figure(100 * share)).join(', '),
    `${figure(median)}, at most ${figure(most)}`,
  ];
}

function sharingTable({ points }: SharingResult): string {
  const percent = (value: number, digits = 1) => figure(100 * value, digits);
  return table(
    [
      '',
      'viewers',
      'offered Mbit/s',
      'arrived',
      'kbit/s each (least to most)',
      'Jain',
      'lost %',
      'reported %',
      'base lost %',
      'changes a minute',
      ...BUSY,
    ],
    points.map((p) => [
      nameOf(p),
      figure(p.viewers),
      figure(p.offeredMbit, 1),
      figure(p.carriedMbit, 1),
      `${figure(p.perViewerKbit.mean)} (${figure(p.perViewerKbit.least)} to ${figure(p.perViewerKbit.most)})`,
      figure(p.jain, 3),
      percent(p.loss),
      percent(p.lossReported),
      percent(p.baseLoss, 2),
      figure(p.changesPerMinute, 1),
      ...busyCells(p.busy),
    ]),
  );
}

function verdicts({ points, linkMbit }: SharingResult): string[] {
  const demand = (viewers: number) => (viewers * CUMULATIVE_KBIT.at(-1)! * FRAME) / FRAME_RTP / 1000;
  return points
    .filter(({ policy }) => policy === 'aimd')
    .map((point) => {
      const over = point.offeredMbit / linkMbit;
      const used = point.carriedMbit / Math.min(linkMbit, demand(point.viewers));
      const [most, text] = point.bottleneck === 'own' ? [0.001, '0.1 %'] : [0.03, '3 %'];
      return (
        `${point.viewers} viewers, ${nameOf(point)}: offered ${figure(100 * over)} % of the link: ${verdict(over <= 1.05, 'at most 105 %')}; ` +
        `used ${figure(100 * used)} %: ${verdict(used >= 0.9, 'at least 90 %')}; Jain ${figure(point.jain, 3)}: ` +
        `${verdict(point.jain >= 0.98, 'at least 0.98')}; base layer lost ${figure(100 * point.baseLoss, 2)} %: ` +
        `${verdict(point.baseLoss < most, `below ${text}`)}.`
      );
    });
}

function stepsTable(runs: readonly StepsRun[]): string {
  const seconds = (value: number | null) => (value === null ? 'never' : figure(value, 1));
  return table(
    ['the link is', 'down after, s', 'up after, s', 'changes', 'pictures', 'undecodable', 'gaps', ...BUSY],
    runs.map((run) => [
      run.bottleneck === 'own' ? 'our own interface' : 'a router beyond',
      seconds(run.downSeconds),
      seconds(run.upSeconds),
      figure(run.changes.length - 1),
      run.settled.map(({ pictures }) => figure(pictures)).join(', '),
      run.settled.map(({ undecodable }) => figure(undecodable)).join(', '),
      run.settled.map(({ gaps }) => figure(gaps)).join(', '),
      ...busyCells(run.busy),
    ]),
  );
}

function tcpTable(runs: readonly BesideTcpRun[]): string {
  return table(
    ['', 'viewers', 'link Mbit/s', 'TCP Mbit/s', 'even share', 'viewers’ RTP kbit/s each', 'lost %', ...BUSY],
    runs.map((run) => [
      nameOf({ policy: run.policy, bottleneck: 'router' }),
      figure(run.viewers),
      figure(run.linkMbit),
      figure(run.tcpMbit, 2),
      figure(run.fairMbit, 2),
      figure(run.perViewerKbit.mean),
      figure(100 * run.loss, 1),
      ...busyCells(run.busy),
    ]),
  );
}
