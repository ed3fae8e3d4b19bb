// SPDX-License-Identifier: Apache-2.0
// One relay with so many viewers: what it delivers and what that costs, or how it failed.
import type { Got } from '../../../load/counted.js';
import { spin, type Spun } from '../../machine-cost.js';
import type { Arrived } from '../../path.js';
import { askLine, benchTool } from '../../programs.js';
import { flowing, openAudience, PORTS, type Audience } from '../audience.js';
import { rates, usage, type Rates } from '../process.js';
import type { Relay, RunningRelay, Transport } from '../relays/relay.js';
import { stopRelay, type Stage, type Stream } from '../stage.js';

/** Time in which the spinners ran. */
export interface Window {
  /** That everything together kept busy. */
  readonly cores: number;
  readonly copiesPerSecond: number;
}

export interface Run {
  readonly relay: string;
  readonly transport: Transport;
  readonly viewers: number;
  readonly stream: Stream;
  readonly joined: number;
  /** How it failed to serve them all. */
  readonly failure?: string;
  /** Up to where copies are counted with the viewers. */
  readonly delivered: readonly Window[];
  /** Up to where the relay, or the kernel for it, has got rid of them: no link, no receiver. UDP only. */
  readonly made: readonly Window[];
  /** Over the first of these windows: what viewers got, the process, the machine. */
  readonly got?: Got;
  readonly rates?: Rates;
  readonly rssMiB?: number;
}

export interface RunOptions {
  readonly transport: Transport;
  readonly viewers: number;
  readonly stream: Stream;
  /** Of each kind, and how long. */
  readonly windows: number;
  readonly seconds: number;
  /** Only what arrives, not what it costs. */
  readonly lossOnly?: boolean;
}

/** What the spinners did in a window; what that says comes with the idle readings of before and after the run. */
interface Seen {
  readonly spun: Spun;
  readonly copiesPerSecond: number;
}

/** Never fails because of the relay: what happened is told. */
export async function measureRun(stage: Stage, relay: Relay, options: RunOptions): Promise<Run> {
  const { transport, viewers, stream } = options;
  const run = { relay: relay.name, transport, viewers, stream, delivered: [], made: [] };
  const idle = async () => (options.lossOnly ? 0 : (await spin(options.seconds)).lost);
  const before = await idle();
  const played = await play(stage, relay, options);
  const { seen, ...told } = played;
  if (!seen) return { ...run, ...told };
  const mean = (before + (await idle())) / 2;
  const windows = (all: readonly Seen[]) =>
    all.map(({ spun, copiesPerSecond }) => ({ cores: spun.lost - mean, copiesPerSecond }));
  return { ...run, ...told, delivered: windows(seen.delivered), made: windows(seen.made) };
}

type Told = Pick<Run, 'joined' | 'failure' | 'got' | 'rates' | 'rssMiB'>;
interface Played extends Told {
  readonly seen?: { readonly delivered: readonly Seen[]; readonly made: readonly Seen[] };
}

async function play(stage: Stage, relay: Relay, options: RunOptions): Promise<Played> {
  let running: RunningRelay | undefined;
  let audience: Audience | undefined;
  try {
    running = await stage.start(relay);
    audience = await openAudience(stage, running.url, options.viewers, { transport: options.transport });
    const measured = await measureWith(stage, relay, { running, audience }, options);
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
}

async function measureWith(
  stage: Stage,
  relay: Relay,
  { running, audience }: Playing,
  { windows, seconds, lossOnly = false, transport }: RunOptions,
) {
  const { pid } = running.child;
  const delivered: Seen[] = [];
  const all: Got[] = [];
  await flowing(audience); // what came while others joined is not judged
  let before = performance.now();
  const from = usage(pid);
  for (let i = 0; i < windows; i++) {
    const spun = await spin(seconds);
    const got = await audience.got();
    const now = performance.now();
    all.push(got);
    if (!lossOnly) delivered.push({ spun, copiesPerSecond: (got.packets / (now - before)) * 1000 });
    before = now;
  }
  const to = usage(pid);
  const made = transport === 'udp' && !lossOnly ? await makeWithout(stage, relay, windows, seconds) : [];
  const seen = { delivered, made };
  return { seen, got: all.reduce(together), rates: rates(from, to), rssMiB: to.rssMiB };
}

/** With copies counted and thrown away as soon as whoever made them has got rid of them (sections/cost.ts). */
async function makeWithout(stage: Stage, relay: Relay, windows: number, seconds: number): Promise<Seen[]> {
  const { proxy, downstream } = stage.topology;
  const inDriver = relay.copies === 'xdp';
  const [where, device] = inDriver
    ? ([stage.viewers, downstream[0]!.viewer.device] as const)
    : ([proxy, downstream[0]!.proxy.device] as const);
  const sink = await where.spawn(benchTool('sink'), [device, PORTS, inDriver ? 'driver' : 'egress']);
  await sink.output(/^ready$/m);
  const made: Seen[] = [];
  for (let i = 0; i < windows; i++) {
    const from = await askLine<Arrived>(sink);
    const spun = await spin(seconds);
    const to = await askLine<Arrived>(sink);
    made.push({ spun, copiesPerSecond: ((to.copies - from.copies) / (to.ns - from.ns)) * 1e9 });
  }
  await sink.finish();
  return made;
}

function together(a: Got, b: Got): Got {
  return {
    packets: a.packets + b.packets,
    bytes: a.bytes + b.bytes,
    nothing: Math.max(a.nothing, b.nothing),
    lost: a.lost + b.lost,
    duplicated: a.duplicated + b.duplicated,
    reordered: a.reordered + b.reordered,
    losses: [],
  };
}
