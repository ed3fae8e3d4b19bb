// SPDX-License-Identifier: Apache-2.0
// What it is worth to stay in the kernel, step by step: the same stream to the same viewers, copied by a program with one system
// call each, with many in one, by the kernel with packets whose payload is copied and with such whose payload is shared, and
// by XDP; what a copy costs, and what that cost is made of.
import type { Child } from '../../../netns/child.js';
import type { EngineName } from '../../engines.js';
import { machineCost } from '../../machine-cost.js';
import { Path, type Arrived } from '../../path.js';
import { timePrograms } from '../../program-time.js';
import type { Context } from '../../section.js';
import { type Spread, spread } from '../../statistics.js';
import type { SuiteSection } from '../section.js';
import { fold, type Part } from './parts.js';
import { ablationFigure, renderAblation } from './report.js';
import { findSampler, sample, type Sampler } from './sampling.js';

interface Plan {
  readonly name: string;
  readonly by: 'sendto' | 'sendmmsg' | EngineName;
  /** What the source leaves of a packet's payload in a page of its own. */
  readonly paged: boolean;
}

const WAYS: readonly Plan[] = [
  { name: 'a system call each', by: 'sendto', paged: false },
  { name: 'sendmmsg', by: 'sendmmsg', paged: false },
  { name: 'kernel (TC), linear', by: 'tc', paged: false },
  { name: 'kernel (TC), paged', by: 'tc', paged: true },
  { name: 'XDP', by: 'xdp', paged: false },
];
/** It does all that is done for any. */
const QUICK: readonly Plan['by'][] = ['xdp'];
const REPEATS = 2;
/** As the kernel knows them: the source, the copying program. */
const PROGRAMS = ['burst', 'sendto'];

interface Load {
  readonly viewers: number;
  readonly pps: number;
  readonly bytes: number;
  /** Of each reading of the machine's cost, and of each sampling. */
  readonly seconds: number;
}

export interface AblationWay {
  readonly name: string;
  /** Of the machine, delivered, origin taken off, us per copy. */
  readonly microseconds: Spread;
  readonly copiesPerSecond: number;
  /** The kernel's own count of time in our programs and what they call, ns per copy. */
  readonly programNs?: number;
  /** What that consists of by samples, us per copy; where nothing can be sampled, not there. */
  readonly parts?: Readonly<Record<Part, number>>;
}

export interface AblationResult extends Load {
  readonly event?: Sampler['event'];
  readonly ways: readonly AblationWay[];
  /** Cores that the idle machine kept busy, around each run. */
  readonly idle: Spread;
}

interface Reading {
  readonly cores: number;
  readonly copiesPerSecond: number;
}

/** Samples of an origin and of what it feeds, as cores that each part keeps busy. */
type Busy = Readonly<Record<Part, number>>;

class Ablation {
  readonly origins = new Map<boolean, { cores: number; busy: Busy | undefined }>();
  readonly idle: number[] = [];

  constructor(
    readonly path: Path,
    readonly load: Load,
    readonly sampler: Sampler | undefined,
  ) {}

  async #open({ by }: Plan, viewers: number): Promise<() => Promise<unknown>> {
    if (by === 'sendto' || by === 'sendmmsg') {
      const child = await this.path.openSockets(by, viewers);
      return () => child.stop();
    }
    const fanout = await this.path.open(by, viewers);
    return () => fanout.close();
  }

  async #source({ paged }: Plan): Promise<Child> {
    const more = paged ? ['--paged'] : [];
    return this.path.startSource({ ...this.load, burst: 1 }, ['--seconds', '3600', ...more]);
  }

  async read(plan: Plan, viewers: number): Promise<Reading> {
    const sink = await this.path.sink();
    const marks: Arrived[] = [];
    const { cores, idle } = await machineCost(this.load.seconds, async () => {
      const close = await this.#open(plan, viewers);
      const source = await this.#source(plan);
      return {
        mark: async () => void marks.push(await sink.read()),
        stop: async () => void (await source.stop(), await close()),
      };
    });
    await sink.close();
    this.idle.push(idle);
    const [from, to] = marks as [Arrived, Arrived];
    return { cores, copiesPerSecond: ((to.copies - from.copies) / (to.ns - from.ns)) * 1e9 };
  }

  async sampled(plan: Plan, viewers: number): Promise<Busy | undefined> {
    if (this.sampler === undefined) return undefined;
    const sink = await this.path.sink();
    const close = await this.#open(plan, viewers);
    const source = await this.#source(plan);
    const { seconds } = this.load;
    const counts = fold(await sample(this.sampler, seconds, PROGRAMS));
    await source.stop();
    await close();
    await sink.close();
    return scale(counts, (_, count) => count / this.sampler!.perSecond / seconds);
  }

  /** The source alone, its packets thrown away by the engine that nobody watches. */
  async origin(plan: Plan): Promise<{ cores: number; busy: Busy | undefined }> {
    const known = this.origins.get(plan.paged);
    if (known) return known;
    const nobody: Plan = { ...plan, by: 'tc' };
    const { cores } = await this.read(nobody, 0);
    const origin = { cores, busy: await this.sampled(nobody, 0) };
    this.origins.set(plan.paged, origin);
    return origin;
  }

  async way(plan: Plan, repeats: number): Promise<AblationWay> {
    const origin = await this.origin(plan);
    const readings: Reading[] = [];
    for (let i = 0; i < repeats; i++) readings.push(await this.read(plan, this.load.viewers));
    const us = readings.map((one) => ((one.cores - origin.cores) / one.copiesPerSecond) * 1e6);
    const { median: perSecond } = spread(readings.map((one) => one.copiesPerSecond));
    const busy = await this.sampled(plan, this.load.viewers);
    const parts =
      busy && origin.busy && scale(busy, (part, mine) => ((mine - origin.busy![part]) / perSecond) * 1e6);
    return {
      name: plan.name,
      microseconds: spread(us),
      copiesPerSecond: perSecond,
      ...(parts && { parts }),
      ...(await this.programTime(plan)),
    };
  }

  async programTime({ by, paged }: Plan): Promise<{ programNs?: number }> {
    if (by === 'sendto' || by === 'sendmmsg') return {};
    const { nsPerCopy } = await timePrograms(this.path, by, this.load, paged ? ['--paged'] : []);
    return { programNs: nsPerCopy };
  }
}

function scale(busy: Busy, of: (part: Part, value: number) => number): Busy {
  const entries = Object.entries(busy) as [Part, number][];
  return Object.fromEntries(entries.map(([part, value]) => [part, of(part, value)])) as Record<Part, number>;
}

async function measure(context: Context): Promise<AblationResult> {
  const load: Load = context.quick
    ? { viewers: 50, pps: 100, bytes: 1200, seconds: 0.3 }
    : { viewers: 500, pps: 400, bytes: 1200, seconds: 2 };
  const sampler = findSampler();
  const path = await Path.build(context.addresses);
  try {
    const ablation = new Ablation(path, load, sampler);
    const ways: AblationWay[] = [];
    for (const plan of WAYS.filter(({ by }) => !context.quick || QUICK.includes(by))) {
      context.progress(plan.name);
      ways.push(await ablation.way(plan, Math.min(context.repeats, REPEATS)));
    }
    return { ...load, ways, idle: spread(ablation.idle), ...(sampler && { event: sampler.event }) };
  } finally {
    await path.close();
  }
}

export const ablation: SuiteSection<AblationResult> = {
  name: 'ablation',
  title: 'What the kernel saves, step by step',
  expectedSeconds: ({ quick }) => (quick ? 10 : 120),
  measure,
  render: renderAblation,
  figures: (result) => ablationFigure(result),
};
