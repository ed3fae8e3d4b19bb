// SPDX-License-Identifier: Apache-2.0
// What a delivered copy costs the machine: the engine against plain C programs with sendto() and sendmmsg().
import { figure, range, table, verdict } from '../markdown.js';
import { machineCost } from '../machine-cost.js';
import { Path, type Arrived } from '../path.js';
import type { Context, Section } from '../section.js';
import { type Spread, spread } from '../statistics.js';
import { type ProgramTime, timePrograms } from '../program-time.js';

const TARGET = 1 / 5;
/** Idle readings further apart than this: something else ran, and what was lost to it cannot be told. */
const STEADY = 0.05;

interface Reading {
  readonly cores: number;
  readonly drift: number;
  readonly copiesPerSecond: number;
}

interface Way {
  readonly name: string;
  /** One a repeat, origin and receiver included. */
  readonly readings: readonly Reading[];
  /** Those taken off. */
  readonly microseconds: Spread;
  /** Of sendto's in the same repeat. */
  readonly ofSendto: Spread;
}

export interface CostResult {
  readonly viewers: number;
  readonly pps: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Origin and receiver, nobody watching. */
  readonly origin: readonly Reading[];
  readonly ways: readonly Way[];
  readonly programs: ProgramTime;
}

type WayName = 'origin' | 'engine' | 'sendto' | 'sendmmsg';
const WAYS: readonly WayName[] = ['origin', 'engine', 'sendto', 'sendmmsg'];

async function read(path: Path, way: WayName, context: Context, result: Load): Promise<Reading> {
  const sink = await path.sink();
  const marks: Arrived[] = [];
  const { cores, drift } = await machineCost(result.seconds, async () => {
    const stop = await open(path, way, context, result.viewers);
    const source = await path.startSource({ ...result, burst: 1 }, ['--seconds', '3600']);
    return {
      mark: async () => void marks.push(await sink.read()),
      stop: async () => {
        await source.stop();
        await stop();
      },
    };
  });
  await sink.close();
  const [from, to] = marks as [Arrived, Arrived];
  return { cores, drift, copiesPerSecond: ((to.copies - from.copies) / (to.ns - from.ns)) * 1e9 };
}

async function open(
  path: Path,
  way: WayName,
  context: Context,
  viewers: number,
): Promise<() => Promise<unknown>> {
  if (way === 'sendto' || way === 'sendmmsg') {
    const child = await path.openSockets(way, viewers);
    return () => child.stop();
  }
  const fanout = await path.open(context.engine, way === 'origin' ? 0 : viewers);
  return () => fanout.close();
}

interface Load {
  readonly viewers: number;
  readonly pps: number;
  readonly bytes: number;
  readonly seconds: number;
}

async function measure(context: Context): Promise<CostResult> {
  const load = context.quick
    ? { viewers: 50, pps: 100, bytes: 1200, seconds: 0.5 }
    : { viewers: 500, pps: 400, bytes: 1200, seconds: 6 };
  const readings: Record<WayName, Reading[]> = { origin: [], engine: [], sendto: [], sendmmsg: [] };
  const path = await Path.build(context.addresses);
  try {
    for (let repeat = 0; repeat < context.repeats; repeat++)
      for (const way of WAYS) {
        context.progress(`cost per copy: ${way}, repeat ${repeat + 1} of ${context.repeats}`);
        readings[way].push(await read(path, way, context, load));
      }
    const programs = await timePrograms(path, context.engine, load);
    return { ...load, origin: readings.origin, ways: summarise(context.engine, readings), programs };
  } finally {
    await path.close();
  }
}

function summarise(engine: string, readings: Record<WayName, Reading[]>): Way[] {
  const cost = (way: WayName, i: number) => {
    const { cores, copiesPerSecond } = readings[way][i]!;
    return ((cores - readings.origin[i]!.cores) / copiesPerSecond) * 1e6;
  };
  return WAYS.filter((way) => way !== 'origin').map((way) => ({
    name: way === 'engine' ? engine : way,
    readings: readings[way],
    microseconds: spread(readings[way].map((_, i) => cost(way, i))),
    ofSendto: spread(readings[way].map((_, i) => cost(way, i) / cost('sendto', i))),
  }));
}

function render(r: CostResult): string[] {
  const percent = (readings: readonly Reading[]) => range(spread(readings.map(({ cores }) => cores)), 1, 100);
  const drift = spread([...r.origin, ...r.ways.flatMap(({ readings }) => readings)].map((one) => one.drift));
  const steady = drift.least > 1 - STEADY && drift.most < 1 + STEADY;
  const engine = r.ways[0]!;
  return [
    `${r.viewers} viewers x ${r.pps} packets/s x ${r.bytes} B. Copies are counted where they arrive. The second column is what one ` +
      `SCHED_IDLE spinner per core loses in ${r.seconds} s, in % of one core; the third has the origin and the receiver taken ` +
      `off, which cost ${percent(r.origin)} % of a core with no viewer there. Idle readings after and before a run differ by a ` +
      `factor of ${range(drift, 3)}.`,
    table(
      ['', '% of a core', 'us per delivered copy', 'of sendto', 'copies/s'],
      r.ways.map((way) => [
        way.name,
        percent(way.readings),
        range(way.microseconds, 3),
        range(way.ofSendto, 3),
        range(spread(way.readings.map((reading) => reading.copiesPerSecond))),
      ]),
    ),
    `${engine.name} against sendto, median: ${figure(engine.ofSendto.median, 3)}: ` +
      `${verdict(steady ? engine.ofSendto.median <= TARGET : undefined, `at most 1/${1 / TARGET}`)}.`,
    `Of this the kernel counts ${figure(r.programs.nsPerCopy)} ns per copy inside the engine's programs (cloning and queueing to ` +
      `the egress included; ${figure(r.programs.runsPerPacket, 2)} runs per packet); the rest is the driver's and the receiver's.`,
  ];
}

export const cost: Section<CostResult> = {
  name: 'cost',
  title: 'Machine cost per delivered copy',
  measure,
  render,
};
