// SPDX-License-Identifier: Apache-2.0
// What a delivered copy costs the machine: the engines against plain C programs with sendto() and sendmmsg(). Twice: up to
// where it arrives, and with the link and the receiver taken off.
import type { EngineName } from '../engines.js';
import { figure, plusMinus, table, verdict } from '../markdown.js';
import { costOfRounds } from '../machine-cost.js';
import { Path, type Arrived, type Sink, type SinkPlace } from '../path.js';
import { type ProgramTime, timePrograms } from '../program-time.js';
import type { Context, Section } from '../section.js';
import { type Estimate, estimate, isAtMost, minus, ratio, times } from '../statistics.js';

/** Of sendto's. */
const TARGETS: Readonly<Record<EngineName, number>> = { tc: 1 / 5, xdp: 1 / 9 };

type WayName = EngineName | 'sendto' | 'sendmmsg';

/** What was seen at one place, the origin included. */
interface Reading {
  /** One a round. */
  readonly cores: readonly number[];
  readonly copies: number;
  readonly seconds: number;
}

/** What a copy costs up to some place. */
interface Cost {
  readonly cores: Estimate;
  readonly copiesPerSecond: number;
  /** The origin taken off, us. */
  readonly microseconds: Estimate;
  readonly ofSendto: Estimate;
}

interface Way {
  readonly name: WayName;
  readonly delivered: Cost;
  readonly made: Cost;
  readonly programs?: ProgramTime;
}

export interface CostResult extends Load {
  readonly repeats: number;
  /** Cores, nobody watching. */
  readonly origin: Estimate;
  readonly ways: readonly Way[];
  /** Made by the kernel's broadcast with nothing of ours. */
  readonly broadcast?: Cost;
}

interface Load {
  readonly viewers: number;
  readonly pps: number;
  readonly bytes: number;
  /** Times that the load is turned on, and how long each time and in between, for each repeat. */
  readonly rounds: number;
  /** The same for what costs little, and is therefore harder to tell: the origin, and what the kernel has made. */
  readonly cheapRounds: number;
  readonly seconds: number;
}

/** As soon as whoever made a copy has got rid of it. Frames of XDP do not come by where socket buffers do. */
const soonest = (way: WayName): SinkPlace => (way === 'xdp' ? 'driver' : 'egress');

async function read(
  path: Path,
  load: Load,
  at: SinkPlace,
  open: () => Promise<() => Promise<unknown>>,
  rounds = load.rounds,
): Promise<Reading> {
  const sink = await path.sink(at);
  const close = await open();
  const reading = await readFrom(path, load, sink, rounds);
  await close();
  await sink.close();
  return reading;
}

async function readBroadcast(path: Path, load: Load): Promise<Reading> {
  const broadcast = await path.broadcast(load.viewers);
  const reading = await readFrom(path, load, broadcast, load.cheapRounds);
  await broadcast.close();
  return reading;
}

async function readFrom(path: Path, load: Load, sink: Sink, rounds: number): Promise<Reading> {
  const marks: Arrived[] = [];
  const cores = await costOfRounds(rounds, load.seconds, async () => {
    const source = await path.startSource({ ...load, burst: 1 }, ['--seconds', '3600']);
    return {
      mark: async () => void marks.push(await sink.read()),
      stop: async () => void (await source.stop()),
    };
  });
  let [copies, ns] = [0, 0];
  for (let i = 0; i < marks.length; i += 2) {
    copies += marks[i + 1]!.copies - marks[i]!.copies;
    ns += marks[i + 1]!.ns - marks[i]!.ns;
  }
  return { cores, copies, seconds: ns / 1e9 };
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
    ? { viewers: 50, pps: 100, bytes: 1200, rounds: 2, cheapRounds: 2, seconds: 0.2 }
    : { viewers: 500, pps: 400, bytes: 1200, rounds: 12, cheapRounds: 24, seconds: 0.5 };
  const names: WayName[] = [...context.engines, 'sendto', 'sendmmsg'];
  const ways: Readings[] = names.map((name) => ({ name, delivered: [], made: [] }));
  const origins: Reading[] = [];
  const broadcasts: Reading[] = [];
  const path = await Path.build(context.addresses);
  const note = (what: string, repeat: number) =>
    context.progress(`cost per copy: ${what}, repeat ${repeat + 1} of ${context.repeats}`);
  try {
    for (let repeat = 0; repeat < context.repeats; repeat++) {
      note('origin', repeat);
      const nobody = () => openWay(path, context.engines[0], 0);
      origins.push(await read(path, load, 'ingress', nobody, load.cheapRounds));
      for (const { name, delivered, made } of ways) {
        const open = () => openWay(path, name, load.viewers);
        note(`${name}, delivered`, repeat);
        delivered.push(await read(path, load, 'ingress', open));
        note(`${name}, made`, repeat);
        const rounds = name === 'tc' || name === 'xdp' ? load.cheapRounds : load.rounds;
        made.push(await read(path, load, soonest(name), open, rounds));
      }
      if (!context.engines.includes('xdp')) continue;
      note('the kernel’s broadcast', repeat);
      broadcasts.push(await readBroadcast(path, load));
    }
    const programs = new Map<WayName, ProgramTime>();
    for (const engine of context.engines)
      programs.set(engine, await timePrograms(path, engine, { ...load, seconds: 5 * load.seconds }));
    const origin = coresOf(origins);
    const told = { ...load, repeats: context.repeats, origin, ways: summarise(origin, ways, programs) };
    if (broadcasts.length === 0) return told;
    const sendto = ways.find(({ name }) => name === 'sendto')!;
    return { ...told, broadcast: costOf(broadcasts, origin, sendto.made) };
  } finally {
    await path.close();
  }
}

const coresOf = (readings: readonly Reading[]) => estimate(readings.flatMap(({ cores }) => cores));
const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);

function perSecond(readings: readonly Reading[]): number {
  return sum(readings.map(({ copies }) => copies)) / sum(readings.map(({ seconds }) => seconds));
}

function costOf(readings: readonly Reading[], origin: Estimate, sendto: readonly Reading[]): Cost {
  const us = (those: readonly Reading[]) => times(minus(coresOf(those), origin), 1e6 / perSecond(those));
  return {
    cores: coresOf(readings),
    copiesPerSecond: perSecond(readings),
    microseconds: us(readings),
    ofSendto: readings === sendto ? { mean: 1, error: 0 } : ratio(us(readings), us(sendto)),
  };
}

function summarise(
  origin: Estimate,
  ways: readonly Readings[],
  programs: ReadonlyMap<WayName, ProgramTime>,
): Way[] {
  const sendto = ways.find(({ name }) => name === 'sendto')!;
  const cost = (way: Readings, kind: 'delivered' | 'made') => costOf(way[kind], origin, sendto[kind]);
  return ways.map((way) => {
    const time = programs.get(way.name);
    const both = { name: way.name, delivered: cost(way, 'delivered'), made: cost(way, 'made') };
    return time === undefined ? both : { ...both, programs: time };
  });
}

const threeOf = ({ cores, microseconds, ofSendto }: Cost): string[] => [
  plusMinus(cores, 1, 100),
  plusMinus(microseconds, 3),
  ofSendto.error === 0 ? figure(ofSendto.mean, 3) : plusMinus(ofSendto, 3),
];

const row = ({ name, delivered, made }: Way): string[] => [
  name,
  ...threeOf(delivered),
  ...threeOf(made),
  figure(delivered.copiesPerSecond),
];

const broadcastRow = (made: Cost): string[] => [
  'XDP’s broadcast alone',
  '-',
  '-',
  '-',
  ...threeOf(made),
  '-',
];

function judge({ name, delivered, made, programs }: Way): string[] {
  const target = TARGETS[name as EngineName];
  if (!programs) return [];
  return [
    `${name} against sendto, origin and receiver taken off: ${plusMinus(made.ofSendto, 3)}: ` +
      `${verdict(isAtMost(made.ofSendto, target), `at most 1/${Math.round(1 / target)} = ${figure(target, 3)}`)}; ` +
      `with link and receiver ${plusMinus(delivered.ofSendto, 3)}. The kernel counts ${figure(programs.nsPerCopy)} ns per ` +
      `copy inside the engine's programs (in TC cloning and queueing to the egress included), which run ` +
      `${figure(programs.runsPerPacket, 2)} times per packet.`,
  ];
}

const limitOf = ({ microseconds, ofSendto }: Cost): string =>
  `What limits xdp: the kernel’s broadcast alone, to one device map of as many entries, each copy dropped by a program of one line ` +
  `as it would leave, costs ${plusMinus(microseconds, 3)} us per copy, ${plusMinus(ofSendto, 3)} of sendto’s: for each a page, ` +
  `the frame copied into it, and the page given back. No program of ours can be cheaper than that.`;

function render(r: CostResult): string[] {
  return [
    `${r.viewers} viewers x ${r.pps} packets/s x ${r.bytes} B. The load is what one SCHED_IDLE spinner per core loses, in % of one ` +
      `core. It is turned on ${r.rounds * r.repeats} times (${r.cheapRounds * r.repeats} times for the origin and for what the kernel has made) for ${figure(r.seconds, 1)} s, each time against readings of the idle machine just before and ` +
      `after, of ${figure(r.seconds, 1)} s too; told are the mean and its standard error. The cost of a copy has the origin taken off, which costs ` +
      `${plusMinus(r.origin, 1, 100)} % of a core with no viewer there. A target counts as met or missed when one in twenty such means at most would say so by chance.`,
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
      [...r.ways.map(row), ...(r.broadcast ? [broadcastRow(r.broadcast)] : [])],
    ),
    ...r.ways.flatMap(judge),
    ...(r.broadcast ? [limitOf(r.broadcast)] : []),
  ];
}

export const cost: Section<CostResult> = {
  name: 'cost',
  title: 'Machine cost per delivered copy',
  measure,
  render,
};
