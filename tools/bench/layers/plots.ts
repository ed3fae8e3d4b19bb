// SPDX-License-Identifier: Apache-2.0
// The figures of bench-layers, from its results alone.
import type { TopLevelSpec } from 'vega-lite';
import { lines, SIZE, type Axis, type Figure } from '../plot.js';
import { CUMULATIVE_KBIT, FRAME, FRAME_RTP } from './context.js';
import type { SharingPoint, SharingResult } from './sharing.js';
import type { StepsRun } from './steps.js';

export function figures(sharing: SharingResult, steps: readonly StepsRun[]): Figure[] {
  return [
    {
      name: 'layers-per-viewer',
      alt: 'RTP per viewer against the number of viewers (figure 6.5 of the thesis)',
      spec: perViewer(sharing),
    },
    {
      name: 'layers-offered',
      alt: 'offered load in all against the number of viewers (figure 6.6 of the thesis)',
      spec: inAll(sharing),
    },
    { name: 'layers-steps', alt: 'RTP that one viewer gets while its link steps', spec: stepping(steps) },
  ];
}

export function nameOf({ policy, bottleneck }: Pick<SharingPoint, 'policy' | 'bottleneck'>): string {
  const place = bottleneck === 'own' ? ', our own interface' : '';
  return `${policy === 'off' ? 'without scaling' : policy}${place}`;
}

function perViewer({ points, linkMbit }: SharingResult): TopLevelSpec {
  const most = CUMULATIVE_KBIT.at(-1)!;
  const counts = [...new Set(points.map(({ viewers }) => viewers))].sort((a, b) => a - b);
  const share = (viewers: number) => Math.min(most, (((linkMbit * 1000) / viewers) * FRAME_RTP) / FRAME);
  const values = [
    ...points.map((point) => ({ ...point, kbit: point.perViewerKbit.mean, policy: nameOf(point) })),
    ...counts.map((viewers) => ({ viewers, kbit: share(viewers), policy: 'even share of the link' })),
  ];
  return against(values, { field: 'kbit', title: 'RTP per viewer, kbit/s' });
}

function inAll({ points, linkMbit }: SharingResult): TopLevelSpec {
  const values = points.map((point) => ({ ...point, mbit: point.offeredMbit, policy: nameOf(point) }));
  const ends = [1, Math.max(...points.map(({ viewers }) => viewers))];
  const link = ends.map((viewers) => ({ viewers, mbit: linkMbit, policy: 'the link' }));
  return against([...values, ...link], { field: 'mbit', title: 'offered load, frames, Mbit/s' });
}

/** The number of viewers; a line for each policy. */
const against = (values: readonly object[], y: Axis) =>
  lines(values, { field: 'viewers', title: 'viewers' }, y, 'policy');

function stepping(runs: readonly StepsRun[]): TopLevelSpec {
  const values = runs.flatMap(({ bottleneck, kbit, steps }) => [
    ...kbit.map((value, second) => ({
      second,
      kbit: value,
      what: bottleneck === 'own' ? 'link is our own interface' : 'link is a router beyond',
    })),
    ...kbit.map((_, second) => ({
      second,
      kbit: (steps.findLast(({ at }) => at <= second + 0.5)?.mbit ?? 0) * 1000,
      what: 'the link',
    })),
  ]);
  return {
    ...SIZE,
    data: { values },
    mark: { type: 'line', interpolate: 'step-after' },
    encoding: {
      x: { field: 'second', type: 'quantitative', title: 'seconds' },
      y: { field: 'kbit', type: 'quantitative', title: 'kbit/s' },
      color: { field: 'what', type: 'nominal', title: null },
    },
  };
}
