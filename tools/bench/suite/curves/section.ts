// SPDX-License-Identifier: Apache-2.0
// What grows with the number of viewers and what does not: latency, joining, memory; and sessions that never play.
import type { SuiteSection } from '../section.js';
import { Stage, THESIS } from '../stage.js';
import { measureGrowth, type GrowthPoint } from './growth.js';
import { measureIdle, type IdleResult } from './idle.js';
import { measureLatency, type LatencyPoint } from './latency.js';
import { curvesFigures, renderCurves } from './report.js';
import { measureStreams, type StreamsPoint } from './streams.js';

export interface CurvesResult {
  readonly latency: readonly LatencyPoint[];
  readonly streams: readonly StreamsPoint[];
  readonly growth: readonly GrowthPoint[];
  readonly idle: IdleResult;
}

export const curves: SuiteSection<CurvesResult> = {
  name: 'curves',
  title: 'With more and more viewers',
  expectedSeconds: ({ quick }) => (quick ? 17 : 260),
  async measure(context) {
    const latency = await measureLatency(context);
    const streams = await measureStreams(context);
    const stage = await Stage.build(context.addresses);
    try {
      await stage.play(THESIS);
      return {
        latency,
        streams,
        growth: await measureGrowth(stage, context),
        idle: await measureIdle(stage, context),
      };
    } finally {
      await stage.close();
    }
  },
  render: renderCurves,
  figures: curvesFigures,
};
