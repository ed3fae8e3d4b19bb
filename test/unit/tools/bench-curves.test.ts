// SPDX-License-Identifier: Apache-2.0
// What is told of curves.
import t from 'tap';
import { drawSvg } from '../../../tools/bench/plot.js';
import { curvesFigures, renderCurves } from '../../../tools/bench/suite/curves/report.js';
import type { CurvesResult } from '../../../tools/bench/suite/curves/section.js';

const times = { p50: 10, p99: 20, p999: 30 };
const point = (viewers: number, rssMiB: number) => ({
  ...{ viewers, joined: viewers, rssMiB, mapsMiB: 50, joins: 10, perSecond: 200, cpuMs: 1 },
  joinMs: { p50: 1, p99: 2, max: 3 },
});
const idle = { sessions: 1024, before: 100, after: 110, cores: 0.01, timeoutSeconds: 60 };
const result: CurvesResult = {
  latency: [10, 100].map((viewers) => ({
    ...{ engine: 'tc' as const, viewers, packets: 1000, incomplete: 0, first: times, last: times },
  })),
  streams: [
    {
      ...{ engine: 'tc', streams: 10, viewersEach: 100, copiesPerSecond: 271_000 },
      ...{ origin: { mean: 0.02, error: 0.001 }, microseconds: { mean: 1.2, error: 0.05 } },
    },
  ],
  growth: [point(10, 100), point(1034, 120)],
  idle: { ...idle, goneSeconds: 61 },
};

t.test('what is told', async (t) => {
  const text = renderCurves(result).join('\n');
  t.match(text, /\| 10 \| 100 \| 271 000 \| 2\.0 ± 0\.1 \| 1\.200 ± 0\.050 \|/);
  t.match(text, /Each further viewer takes 20\.0 KiB/);
  t.match(text, /\(10\.0 KiB each\).* 61\.0 s .*: met/s);
  t.match(renderCurves({ ...result, idle: { ...idle, goneSeconds: 80 } }).join('\n'), /\*\*missed\*\*/);
  t.match(renderCurves({ ...result, idle }).join('\n'), /not waited for/);
  t.match(await drawSvg(curvesFigures(result)[0]!.spec), /first viewer, p50/);
});
