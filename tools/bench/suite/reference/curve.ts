// SPDX-License-Identifier: Apache-2.0
// More and more viewers of the thesis's stream, with each engine, until the machine can serve no more (spec chapter 6: processor time and loss
// against throughput).
import type { Context } from '../../section.js';
import type { Datapath } from '../relays/ours.js';
import type { Stage } from '../stage.js';
import { startEngine } from './engine.js';
import { idleLoad, read, type Reading } from './reading.js';

/** The thesis's range first. */
const COUNTS = [10, 50, 100, 250, 500, 1000, 2000, 4000];
/** Losing more than this, or with viewers whom it did not let in, an engine is at its limit. */
export const LIMIT_LOSS = 0.01;

export const atLimit = ({ loss, joined, viewers }: Reading) => loss > LIMIT_LOSS || joined < viewers;

export interface CountsOptions {
  /** ReadingOptions' */
  readonly fill?: number;
  /** The last reading that is wanted. */
  enough?(reading: Reading): boolean;
}

/** One engine with so many viewers, and so many. */
export async function measureCounts(
  stage: Stage,
  name: Datapath,
  counts: readonly number[],
  { quick, progress }: Context,
  { fill = 0, enough = () => false }: CountsOptions = {},
): Promise<Reading[]> {
  const seconds = quick ? 0.3 : 2;
  const idle = await idleLoad(seconds);
  const engine = await startEngine(stage, name);
  const readings: Reading[] = [];
  try {
    for (const viewers of counts) {
      progress(`${name}, ${viewers} viewers`);
      readings.push(await read(stage, engine, { viewers, seconds, idle, fill }));
      if (enough(readings.at(-1)!)) break;
    }
    return readings;
  } finally {
    await engine.stop();
  }
}

export const measureCurve = (stage: Stage, name: Datapath, context: Context): Promise<Reading[]> =>
  measureCounts(stage, name, context.quick ? [10] : COUNTS, context, { enough: atLimit });

export interface Line {
  /** Cores with nobody watching, and for each viewer more. */
  readonly base: number;
  readonly perViewer: number;
}

/** Least squares through what was measured up to 100 viewers, as the thesis did; all where there are less than two. */
export function fit(readings: readonly Reading[]): Line {
  const few = readings.filter(({ viewers }) => viewers <= 100);
  const used = few.length >= 2 ? few : readings;
  const mean = (of: (reading: Reading) => number) =>
    used.reduce((sum, reading) => sum + of(reading), 0) / used.length;
  const [x, y] = [mean(({ viewers }) => viewers), mean(({ cores }) => cores)];
  const above = used.reduce((sum, one) => sum + (one.viewers - x) * (one.cores - y), 0);
  const below = used.reduce((sum, one) => sum + (one.viewers - x) ** 2, 0);
  const perViewer = above / below;
  return { base: y - perViewer * x, perViewer };
}
