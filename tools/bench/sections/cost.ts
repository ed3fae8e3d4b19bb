// SPDX-License-Identifier: Apache-2.0
// What a delivered copy costs the machine: the engines against plain C programs with sendto() and sendmmsg(). Twice: up to
// where it arrives, and with the link and the receiver taken off.
import type { EngineName } from '../engines.js';
import { figure, range, table, verdict } from '../markdown.js';
import { machineCost } from '../machine-cost.js';
import { Path, type Arrived, type SinkPlace } from '../path.js';
import { type ProgramTime, timePrograms } from '../program-time.js';
import type { Context, Section } from '../section.js';
import { type Spread, spread } from '../statistics.js';

/** Of sendto's. */
const TARGETS: Readonly<Record<EngineName, number>> = { tc: 1 / 5, xdp: 1 / 9 };
/** Idle readings further apart than this: something else ran, and what was lost to it cannot be told. */
const STEADY = 0.05;

type WayName = EngineName | 'sendto' | 'sendmmsg';

interface Reading {
  readonly cores: number;
  readonly drift: number;
  readonly copiesPerSecond: number;
}

/** What a copy costs up to some place. */
interface Cost {
  /** One a repeat, origin included. */
  readonly readings: readonly Reading[];
  /** The origin taken off, us. */
  readonly microseconds: Spread;
  /** Of sendto's in the same repeat. */
  readonly ofSendto: Spread;
}

interface Way {
  readonly name: WayName;
  readonly delivered: Cost;
  readonly made: Cost;
  readonly programs?: ProgramTime;
}

export interface CostResult {
  readonly viewers: number;
  readonly pps: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Nobody watching. */
  readonly origin: readonly Reading[];
  readonly ways: readonly Way[];
}

interface Load {
  readonly viewers: number;
  readonly pps: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** As soon as whoever made a copy has got rid of it. Frames of XDP do not come by where socket buffers do. */
const soonest = (way: WayName): SinkPlace => (way === 'xdp' ? 'driver' : 'egress');

async function read(
  path: Path,
  load: Load,
  at: SinkPlace,
  open: () => Promise<() => Promise<unknown>>,
): Promise<Reading> {
  const sink = await path.sink(at);
  const marks: Arrived[] = [];
  const { cores, drift } = await machineCost(load.seconds, async () => {
    const stop = await open();
    const source = await path.startSource({ ...load, burst: 1 }, ['--seconds', '3600']);
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

async function openWay(path: Path, way: WayName, viewers: number): Promise<() => Promise<unknown>> {
  if (way === 'sendto' || way === 'sendmmsg') {
    const child = await path.openSockets(way, viewers);
    return () => child.stop();
  }
  const fanout = await path.open(way, viewers);
  return () => fanout.close();
}

interface Readings {
  readonly name: WayName;
  readonly delivered: Reading[];
  readonly made: Reading[];
}

async function measure(context: Context): Promise<CostResult> {
  const load: Load = context.quick
    ? { viewers: 50, pps: 100, bytes: 1200, seconds: 0.5 }
    : { viewers: 500, pps: 400, bytes: 1200, seconds: 5 };
  const names: WayName[] = [...context.engines, 'sendto', 'sendmmsg'];
  const ways: Readings[] = names.map((name) => ({ name, delivered: [], made: [] }));
  const origin: Reading[] = [];
  const path = await Path.build(context.addresses);
  const note = (what: string, repeat: number) =>
    context.progress(`cost per copy: ${what}, repeat ${repeat + 1} of ${context.repeats}`);
  try {
    for (let repeat = 0; repeat < context.repeats; repeat++) {
      note('origin', repeat);
      origin.push(await read(path, load, 'ingress', () => openWay(path, context.engines[0], 0)));
      for (const { name, delivered, made } of ways) {
        const open = () => openWay(path, name, load.viewers);
        note(`${name}, delivered`, repeat);
        delivered.push(await read(path, load, 'ingress', open));
        note(`${name}, made`, repeat);
        made.push(await read(path, load, soonest(name), open));
      }
    }
    const programs = new Map<WayName, ProgramTime>();
    for (const engine of context.engines) programs.set(engine, await timePrograms(path, engine, load));
    return { ...load, origin, ways: summarise(origin, ways, programs) };
  } finally {
    await path.close();
  }
}

function summarise(
  origin: readonly Reading[],
  ways: readonly Readings[],
  programs: ReadonlyMap<WayName, ProgramTime>,
): Way[] {
  const us = ({ cores, copiesPerSecond }: Reading, i: number) =>
    ((cores - origin[i]!.cores) / copiesPerSecond) * 1e6;
  const sendto = ways.find(({ name }) => name === 'sendto')!;
  const cost = (way: Readings, kind: 'delivered' | 'made'): Cost => ({
    readings: way[kind],
    microseconds: spread(way[kind].map(us)),
    ofSendto: spread(way[kind].map((reading, i) => us(reading, i) / us(sendto[kind][i]!, i))),
  });
  return ways.map((way) => {
    const time = programs.get(way.name);
    const both = { name: way.name, delivered: cost(way, 'delivered'), made: cost(way, 'made') };
    return time === undefined ? both : { ...both, programs: time };
  });
}

const percent = (readings: readonly Reading[]) => range(spread(readings.map(({ cores }) => cores)), 1, 100);

function row({ name, delivered, made }: Way): string[] {
  const three = (cost: Cost) => [
    percent(cost.readings),
    range(cost.microseconds, 3),
    range(cost.ofSendto, 3),
  ];
  return [
    name,
    ...three(delivered),
    ...three(made),
    range(spread(delivered.readings.map(({ copiesPerSecond }) => copiesPerSecond))),
  ];
}

function judge({ name, delivered, made, programs }: Way, steady: boolean): string[] {
  const target = TARGETS[name as EngineName];
  if (!programs) return [];
  return [
    `${name} against sendto, origin and receiver taken off, median: ${figure(made.ofSendto.median, 3)}: ` +
      `${verdict(steady ? made.ofSendto.median <= target : undefined, `at most 1/${Math.round(1 / target)}`)}; ` +
      `with link and receiver ${figure(delivered.ofSendto.median, 3)}. The kernel counts ${figure(programs.nsPerCopy)} ns per ` +
      `copy inside the engine's programs (in TC cloning and queueing to the egress included), which run ` +
      `${figure(programs.runsPerPacket, 2)} times per packet.`,
  ];
}

function render(r: CostResult): string[] {
  const readings = r.ways.flatMap(({ delivered, made }) => [...delivered.readings, ...made.readings]);
  const drift = spread([...r.origin, ...readings].map((one) => one.drift));
  const steady = drift.least > 1 - STEADY && drift.most < 1 + STEADY;
  return [
    `${r.viewers} viewers x ${r.pps} packets/s x ${r.bytes} B. The load is what one SCHED_IDLE spinner per core loses in ` +
      `${r.seconds} s, in % of one core; the cost of a copy has the origin taken off, which costs ${percent(r.origin)} % of a core ` +
      `with no viewer there. Idle readings after and before a run differ by a factor of ${range(drift, 3)}.`,
    'Delivered: copies go over the link and are counted and dropped at TC ingress with the viewers. Made: they are counted and ' +
      'thrown away as soon as they have been made, which takes the link and the receiver off, whose cost is the same for ' +
      'all: socket buffers as they leave the IP stack or the engine (TC egress), frames of XDP in the driver at the other end.',
    table(
      [
        '',
        'delivered: % of a core',
        'us per copy',
        'of sendto',
        'made: % of a core',
        'us per copy',
        'of sendto',
        'copies/s delivered',
      ],
      r.ways.map(row),
    ),
    ...r.ways.flatMap((way) => judge(way, steady)),
  ];
}

export const cost: Section<CostResult> = {
  name: 'cost',
  title: 'Machine cost per delivered copy',
  measure,
  render,
};
