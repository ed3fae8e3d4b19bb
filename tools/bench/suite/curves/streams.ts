// SPDX-License-Identifier: Apache-2.0
// The same number of copies from one stream and from many: what a stream costs beside its viewers.
import type { EngineName } from '../../engines.js';
import { costOfRounds } from '../../machine-cost.js';
import { OBJECTS } from '../../programs.js';
import { Path, type Arrived } from '../../path.js';
import type { Context } from '../../section.js';
import { estimate, minus, times, type Estimate } from '../../statistics.js';

export interface StreamsPoint {
  readonly engine: EngineName;
  readonly streams: number;
  readonly viewersEach: number;
  readonly copiesPerSecond: number;
  /** Cores that the source keeps busy, its packets received by nobody. */
  readonly origin: Estimate;
  /** For each copy that is delivered, the source taken off. */
  readonly microseconds: Estimate;
}

export const STREAMS_LOAD = { packetsPerSecond: 271, bytes: 466, viewers: 1000 } as const;

export async function measureStreams({
  quick,
  engines,
  addresses,
  progress,
}: Context): Promise<StreamsPoint[]> {
  const engine = engines.find((name) => name === 'tc') ?? engines[0];
  const { packetsPerSecond: pps, bytes } = STREAMS_LOAD;
  const viewers = quick ? 20 : STREAMS_LOAD.viewers;
  const [rounds, seconds] = quick ? [2, 0.2] : [8, 0.5];
  const path = await Path.build(addresses);
  const read = async (streams: number, watching: number) => {
    const sink = await path.sink();
    const fanout = await path.open(engine, watching, OBJECTS, streams);
    const marks: Arrived[] = [];
    const cores = await costOfRounds(rounds, seconds, async () => {
      const source = await path.startSource({ pps, bytes, burst: 1, streams }, ['--seconds', '3600']);
      return {
        mark: async () => void marks.push(await sink.read()),
        stop: async () => void (await source.stop()),
      };
    });
    await fanout.close();
    await sink.close();
    const rates = marks.flatMap((to, i) => {
      const from = marks[i - 1];
      return i % 2 && from ? [((to.copies - from.copies) / (to.ns - from.ns)) * 1e9] : [];
    });
    return { cores: estimate(cores), copiesPerSecond: estimate(rates).mean };
  };
  try {
    const points: StreamsPoint[] = [];
    for (const streams of quick ? [2] : [1, 10, 100]) {
      progress(`${streams} streams, nobody watching`);
      const origin = (await read(streams, 0)).cores;
      progress(`${streams} streams, ${viewers} viewers`);
      const { cores, copiesPerSecond } = await read(streams, viewers);
      const microseconds = times(minus(cores, origin), 1e6 / copiesPerSecond);
      points.push({ engine, streams, viewersEach: viewers / streams, copiesPerSecond, origin, microseconds });
    }
    return points;
  } finally {
    await path.close();
  }
}
