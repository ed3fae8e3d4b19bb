// SPDX-License-Identifier: Apache-2.0
// Copies per second when the source sends as fast as it can, counted where they arrive, and what stands in the way of more.
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineName } from '../engines.js';
import { spin } from '../machine-cost.js';
import { figure, range, table } from '../markdown.js';
import { Path } from '../path.js';
import type { Counters } from '../protocol.js';
import type { Context, Section } from '../section.js';
import { type Spread, spread } from '../statistics.js';

/** More packets a second than any number of viewers here can be served. */
const FLAT_OUT = 1_000_000;

interface Size {
  readonly engine: EngineName;
  readonly viewers: number;
  readonly copiesPerSecond: Spread;
  /** Packets that came in, and those refused whole, a second. */
  readonly offered: Spread;
  readonly refused: Spread;
  /** Passes a packet that got a ticket, and of these the ones that a full egress ended. */
  readonly passes: Spread;
  readonly full: Spread;
  /** Cores that were not idle, of `cores`. */
  readonly busy: Spread;
}

export interface FlatOutResult {
  readonly bytes: number;
  readonly seconds: number;
  readonly cores: number;
  readonly sizes: readonly Size[];
}

interface Reading {
  readonly copies: number;
  readonly offered: number;
  readonly refused: number;
  readonly passes: number;
  readonly full: number;
  readonly busy: number;
}

async function read(
  path: Path,
  engine: EngineName,
  viewers: number,
  r: { bytes: number; seconds: number },
): Promise<Reading> {
  const fanout = await path.open(engine, viewers);
  const sink = await path.sink();
  const idle = await spin(0.5);
  const traffic = { pps: FLAT_OUT, bytes: r.bytes, burst: 1 };
  const source = await path.startSource(traffic, ['--seconds', '3600']);
  await sleep(300);
  const state = async () => ({ at: await sink.read(), counters: await fanout.ask('counters', {}) });
  const from = await state();
  const loaded = await spin(r.seconds);
  const to = await state();
  await source.stop();
  await fanout.settled();
  await sink.close();
  await fanout.close();
  const seconds = (to.at.ns - from.at.ns) / 1e9;
  const delta = (of: (counters: Counters) => number) => of(to.counters) - of(from.counters);
  const refused = delta(({ stream }) => stream.refused);
  const offered = delta(({ stream }) => stream.packets);
  return {
    copies: (to.at.copies - from.at.copies) / seconds,
    offered: offered / seconds,
    refused: refused / seconds,
    passes: delta(({ facts }) => Number(facts['passes'])) / (offered - refused),
    full: delta(({ facts }) => Number(facts['passes that met a full egress'])) / (offered - refused),
    busy: loaded.lost - idle.lost,
  };
}

async function measure(context: Context): Promise<FlatOutResult> {
  const r = { bytes: 1200, seconds: context.quick ? 0.5 : 3 };
  const path = await Path.build(context.addresses);
  const sizes: Size[] = [];
  try {
    const counts = context.quick ? [90] : [90, 500, 4000];
    for (const [engine, viewers] of context.engines.flatMap((e) => counts.map((n) => [e, n] as const))) {
      const readings: Reading[] = [];
      for (let repeat = 0; repeat < context.repeats; repeat++) {
        context.progress(
          `flat out: ${engine}, ${viewers} viewers, repeat ${repeat + 1} of ${context.repeats}`,
        );
        readings.push(await read(path, engine, viewers, r));
      }
      const over = (of: (reading: Reading) => number) => spread(readings.map(of));
      sizes.push({
        engine,
        viewers,
        copiesPerSecond: over(({ copies }) => copies),
        offered: over(({ offered }) => offered),
        refused: over(({ refused }) => refused),
        passes: over(({ passes }) => passes),
        full: over(({ full }) => full),
        busy: over(({ busy }) => busy),
      });
    }
    return { ...r, cores: (await spin(0.1)).cores, sizes };
  } finally {
    await path.close();
  }
}

/** In words, from the figures: what was used up. */
function limit(size: Size, cores: number): string {
  const busy = size.busy.median;
  if (busy > cores - 0.15) return `all ${cores} cores, the source's sending included`;
  if (busy > 0.85 && busy < 1.15) return 'one core: all stages run on the one where the source sends';
  if (size.full.median > 1) return 'the egress: passes end because it is full';
  return `neither cores (${figure(busy, 2)} of ${cores} busy) nor egress: the stages wait for one another`;
}

function render(r: FlatOutResult): string[] {
  return [
    `The source sends packets of ${r.bytes} B as fast as it can for ${r.seconds} s. Copies are counted where they arrive; a packet ` +
      'for which no ticket is free is refused whole, for all viewers alike.',
    table(
      [
        'engine',
        'viewers',
        'copies/s',
        'packets/s offered',
        'refused',
        'passes per packet',
        'ended by a full egress',
        `busy, of ${r.cores} cores`,
        'limited by',
      ],
      r.sizes.map((size) => [
        size.engine,
        figure(size.viewers),
        range(size.copiesPerSecond),
        range(size.offered),
        range(size.refused),
        range(size.passes, 1),
        range(size.full, 1),
        range(size.busy, 2),
        limit(size, r.cores),
      ]),
    ),
  ];
}

export const flatOut: Section<FlatOutResult> = {
  name: 'flatOut',
  title: 'Delivered copies per second, flat out',
  measure,
  render,
};
