// SPDX-License-Identifier: Apache-2.0
// One relay with so many viewers: what it delivers and what that costs, or how it failed.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Got } from '../../../load/counted.js';
import { spin } from '../../machine-cost.js';
import type { Arrived } from '../../path.js';
import { askLine, benchTool } from '../../programs.js';
import { flowing, openAudience, PORTS, type Audience } from '../audience.js';
import { usage } from '../process.js';
import type { Relay, RunningRelay, Transport } from '../relays/relay.js';
import { measureRounds, measureSteady, type Round } from '../rounds.js';
import { stopRelay, type Stage, type Stream } from '../stage.js';

export interface Run {
  readonly relay: string;
  readonly transport: Transport;
  readonly viewers: number;
  readonly stream: Stream;
  readonly joined: number;
  /** How it failed to serve them all. */
  readonly failure?: string;
  /** It delivered less than was due: its cost is that of what it did deliver. */
  readonly overloaded?: boolean;
  /** Up to where copies are counted with the viewers. */
  readonly delivered: readonly Round[];
  /** Up to where the relay, or the kernel for it, has got rid of them: no link, no receiver. UDP only. */
  readonly made: readonly Round[];
  /** Before that, for some seconds without a break: what viewers got. */
  readonly got?: Omit<Got, 'losses'>;
  readonly copiesPerSecond?: number;
  readonly rssMiB?: number;
}

export interface RunOptions {
  readonly transport: Transport;
  readonly viewers: number;
  readonly stream: Stream;
  /** Of looking at what arrives. */
  readonly lookSeconds: number;
  readonly rounds: { readonly delivered: number; readonly made: number };
  /** Of each round. */
  readonly seconds: number;
}

/** Of what the origin sent: who delivers less does not keep up. */
const CARRIED = 0.98;
const IDLE_SECONDS = 1;

/** Never fails because of the relay: what happened is told. */
export async function measureRun(stage: Stage, relay: Relay, options: RunOptions): Promise<Run> {
  const { transport, viewers, stream } = options;
  const run = { relay: relay.name, transport, viewers, stream, delivered: [], made: [] };
  return { ...run, ...(await play(stage, relay, options)) };
}

type Told = Pick<Run, 'joined' | 'failure'> & Partial<Measured>;
type Measured = Pick<Run, 'delivered' | 'made'> &
  Required<Pick<Run, 'got' | 'copiesPerSecond' | 'overloaded' | 'rssMiB'>>;

async function play(stage: Stage, relay: Relay, options: RunOptions): Promise<Told> {
  let running: RunningRelay | undefined;
  let audience: Audience | undefined;
  try {
    const costs = options.rounds.delivered + options.rounds.made > 0;
    const idle = costs ? (await spin(IDLE_SECONDS)).lost : 0;
    running = await stage.start(relay);
    audience = await openAudience(stage, running.url, options.viewers, { transport: options.transport });
    const measured = await measureWith(stage, relay, { running, audience, idle }, options);
    return { joined: audience.joined, ...measured, ...failureOf(audience, running) };
  } catch (error) {
    return { joined: audience?.joined ?? 0, failure: shortly((error as Error).message) };
  } finally {
    await audience?.leave();
    if (running) await stopRelay(running);
  }
}

/** Somebody who did not get in, or was thrown out, or the relay's own end. */
function failureOf({ viewers, joined, failures }: Audience, { child }: RunningRelay): { failure?: string } {
  if (!child.running) return { failure: `ended: ${shortly(child.stderr || child.stdout)}` };
  const told = Object.entries(failures).map(([reason, count]) => `${count} x ${reason}`);
  if (joined === viewers && told.length === 0) return {};
  return { failure: `${joined} of ${viewers} joined: ${told.join('; ')}` };
}

/** Fit for a line of a document. */
const shortly = (text: string) => text.trim().replaceAll(/\s+/g, ' ').slice(0, 300);

interface Playing {
  readonly running: RunningRelay;
  readonly audience: Audience;
  /** Cores that the machine kept busy before. */
  readonly idle: number;
}

/** Measures so many rounds as fits what the relay can do. */
type Rounds = (rounds: number, copies: () => Promise<number>) => Promise<Round[]>;

async function measureWith(
  stage: Stage,
  relay: Relay,
  { running, audience, idle }: Playing,
  { lookSeconds, rounds, seconds, viewers, stream }: RunOptions,
): Promise<Measured> {
  const { pid } = running.child;
  await flowing(audience); // what came while others joined is not judged
  const began = performance.now();
  await sleep(lookSeconds * 1000);
  const { losses: _ofEach, ...got } = await audience.got();
  const copiesPerSecond = (got.packets / (performance.now() - began)) * 1000;
  const overloaded = copiesPerSecond < CARRIED * viewers * stream.packetsPerSecond;
  const measured: Rounds = (count, copies) => {
    const options = { rounds: count, seconds, pid, copies };
    return overloaded ? measureSteady({ ...options, idle }) : measureRounds(stage, options);
  };
  let all = 0;
  const delivered = await measured(rounds.delivered, async () => (all += (await audience.got()).packets));
  const { rssMiB } = usage(pid);
  const made = rounds.made > 0 ? await makeOnly(stage, relay, (copies) => measured(rounds.made, copies)) : [];
  return { got, copiesPerSecond, overloaded, delivered, made, rssMiB };
}

/** With copies counted and thrown away as soon as whoever made them has got rid of them (sections/cost.ts). */
async function makeOnly(
  stage: Stage,
  relay: Relay,
  measured: (copies: () => Promise<number>) => Promise<Round[]>,
): Promise<Round[]> {
  const { proxy, downstream } = stage.topology;
  const inDriver = relay.copies === 'xdp';
  const [where, device] = inDriver
    ? ([stage.viewers, downstream[0]!.viewer.device] as const)
    : ([proxy, downstream[0]!.proxy.device] as const);
  const sink = await where.spawn(benchTool('sink'), [device, PORTS, inDriver ? 'driver' : 'egress']);
  await sink.output(/^ready$/m);
  const copies = async () => (await askLine<Arrived>(sink)).copies;
  const made = await measured(copies);
  await sink.finish();
  return made;
}
