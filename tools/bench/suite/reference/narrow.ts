// SPDX-License-Identifier: Apache-2.0
// The thesis's 100 Mbit/s link (a token bucket): who loses how much when more is due than fits. The proxy with its engines, whose viewers report; and
// the kernel engine alone as it is, without deferral, and without rotation as well.
import { HEADERS, narrow, widen } from '../../narrow-link.js';
import { finalCount, Path } from '../../path.js';
import { OBJECTS, OBJECTS_WITHOUT_DEFERRAL, OBJECTS_WITHOUT_ROTATION } from '../../programs.js';
import type { Context } from '../../section.js';
import type { Topology } from '../../../netns/topology.js';
import type { Datapath } from '../relays/ours.js';
import { THESIS, type Stage } from '../stage.js';
import { measureCounts } from './curve.js';
import { lossOf, type Reading } from './reading.js';

export const LINK_MBIT = 100;
export const frameMbit = (viewers: number) =>
  (viewers * THESIS.packetsPerSecond * (THESIS.bytes + HEADERS) * 8) / 1e6;

const COUNTS = [60, 90, 120, 160];
/** TC parks 200 packets before it refuses any: of 120 viewers, 97 Mbit, at 32 Mbit/s too much. */
const FILL_SECONDS = 6;
const toNarrow = (topology: Topology) => narrow(topology, LINK_MBIT * 1e6, THESIS.bytes);

export async function measureNarrow(stage: Stage, name: Datapath, context: Context): Promise<Reading[]> {
  const progress = (text: string) => context.progress(`${LINK_MBIT} Mbit/s, ${text}`);
  await toNarrow(stage.topology);
  try {
    const told = { ...context, progress };
    return await measureCounts(stage, name, COUNTS, told, { fill: FILL_SECONDS });
  } finally {
    await widen(stage.topology);
  }
}

const VARIANTS = {
  'deferral and rotation': OBJECTS,
  'no deferral': OBJECTS_WITHOUT_DEFERRAL,
  'no deferral, no rotation': OBJECTS_WITHOUT_ROTATION,
} as const;

export interface VariantReading {
  readonly variant: keyof typeof VARIANTS;
  readonly viewers: number;
  /** Packets back to back. */
  readonly burst: number;
  readonly mbit: number;
  readonly loss: number;
  readonly deviation: number;
  /** Of the viewer that lost least, and most, 0 to 1. */
  readonly least: number;
  readonly most: number;
}

async function variantReading(
  path: Path,
  variant: keyof typeof VARIANTS,
  { viewers, burst, seconds }: { viewers: number; burst: number; seconds: number },
): Promise<VariantReading> {
  const fanout = await path.open('tc', viewers, VARIANTS[variant]);
  const counter = await path.count();
  const traffic = { pps: THESIS.packetsPerSecond, bytes: THESIS.bytes, burst };
  const { sent, seconds: took } = await path.send(traffic, seconds);
  await fanout.settled();
  const { rows } = await finalCount(counter);
  await fanout.close();
  const losses = rows.map((row) => sent - (row.packets - row.duplicated - row.old));
  const packets = rows.reduce((sum, row) => sum + row.packets, 0);
  const got = {
    packets,
    losses,
    lost: losses.reduce((sum, lost) => sum + lost, 0),
    nothing: viewers - rows.length,
  };
  const shares = [...losses.map((lost) => lost / sent), ...(got.nothing > 0 ? [1] : [])];
  return {
    ...{ variant, viewers, burst, ...lossOf(got, viewers) },
    mbit: (packets * (THESIS.bytes + HEADERS) * 8) / 1e6 / took,
    least: Math.min(...shares),
    most: Math.max(...shares),
  };
}

/** Over the narrow link; one packet at a time and in bursts. */
export async function measureVariants({ quick, progress, addresses }: Context): Promise<VariantReading[]> {
  const seconds = quick ? 0.5 : 4;
  const path = await Path.build(addresses);
  const readings: VariantReading[] = [];
  try {
    await toNarrow(path.topology);
    for (const [viewers, burst] of quick
      ? ([[100, 30]] as const)
      : ([
          [60, 30],
          [120, 1],
        ] as const))
      for (const variant of Object.keys(VARIANTS) as (keyof typeof VARIANTS)[]) {
        progress(`${LINK_MBIT} Mbit/s, ${variant}, ${viewers} viewers, bursts of ${burst}`);
        readings.push(await variantReading(path, variant, { viewers, burst, seconds }));
      }
    return readings;
  } finally {
    await path.close();
  }
}
