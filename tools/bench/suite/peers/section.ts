// SPDX-License-Identifier: Apache-2.0
// This proxy beside what people use: the same origin, the same viewers, the same counter, one after the other.
import type { Context } from '../../section.js';
import { lines, type Figure } from '../../plot.js';
import { spread } from '../../statistics.js';
import { PEERS, TC, USERSPACE, XDP } from '../relays/all.js';
import { canRun, type Relay, type Transport } from '../relays/relay.js';
import type { SuiteSection } from '../section.js';
import { Stage, THESIS } from '../stage.js';
import { measureOrigin, type Origin } from './origin.js';
import { perCopy, renderPeers } from './report.js';
import { measureRun, type Run, type RunOptions } from './run.js';

export interface PeersResult {
  readonly seconds: number;
  readonly origin: Origin;
  /** Names of relays that are not here. */
  readonly missing: readonly string[];
  readonly runs: readonly Run[];
}

interface Plan {
  readonly udp: Counts;
  readonly bursty: Counts;
  readonly tcp: Counts;
  readonly seconds: number;
}

/** Viewers, and who of ours is measured with so many, beside all the others. */
type Counts = readonly { readonly viewers: number; readonly ours: readonly Relay[] }[];

/** Packets back to back of the bursty source: three pictures' worth. */
const BURST = 30;
const WHOLE: Plan = {
  udp: [
    { viewers: 90, ours: [XDP, TC] },
    { viewers: 500, ours: [XDP, TC, USERSPACE] },
    { viewers: 2000, ours: [XDP, TC] },
  ],
  bursty: [{ viewers: 2000, ours: [XDP, TC] }],
  tcp: [
    { viewers: 90, ours: [XDP, USERSPACE] },
    { viewers: 500, ours: [XDP, USERSPACE] },
  ],
  seconds: 1,
};
const QUICK: Plan = {
  udp: [{ viewers: 5, ours: [XDP] }],
  bursty: [{ viewers: 5, ours: [XDP] }],
  tcp: [{ viewers: 3, ours: [XDP] }],
  seconds: 0.2,
};
/** Beside the windows: start, joining, leaving. */
const AROUND_SECONDS = 6;

const planOf = ({ quick }: Context) => (quick ? QUICK : WHOLE);

/** In the order in which they are measured. */
function runsOf(plan: Plan, repeats: number): { relay: Relay; options: RunOptions }[] {
  const common = { windows: repeats, seconds: plan.seconds };
  const others = PEERS.filter(canRun);
  const each = (transport: Transport, counts: Counts, more: Partial<RunOptions> = {}) =>
    counts.flatMap(({ viewers, ours }) =>
      [...ours, ...others]
        .filter(({ transports }) => transports.includes(transport))
        .map((relay) => ({ relay, options: { transport, viewers, stream: THESIS, ...common, ...more } })),
    );
  return [
    ...each('udp', plan.udp),
    ...each('tcp', plan.tcp),
    ...each('udp', plan.bursty, { stream: { ...THESIS, burst: BURST }, windows: 1, lossOnly: true }),
  ];
}

function expectedSeconds(context: Context): number {
  const plan = planOf(context);
  return runsOf(plan, context.repeats)
    .map(({ options: { viewers, windows, seconds, lossOnly, transport } }) => {
      const kinds = lossOnly || transport === 'tcp' ? 1 : 2;
      return (context.quick ? 2 : AROUND_SECONDS) + viewers / 250 + windows * kinds * seconds;
    })
    .reduce((sum, seconds) => sum + seconds, 10);
}

async function measure(context: Context): Promise<PeersResult> {
  const plan = planOf(context);
  const stage = await Stage.build(context.addresses);
  try {
    await stage.play(THESIS);
    context.progress('the origin alone');
    const origin = await measureOrigin(stage, context.repeats, plan.seconds);
    const runs: Run[] = [];
    let burst = THESIS.burst;
    for (const { relay, options } of runsOf(plan, context.repeats)) {
      const how = `${options.viewers} viewers ${options.transport === 'udp' ? 'by UDP' : 'interleaved'}`;
      context.progress(`${relay.name}, ${how}${options.stream.burst > 1 ? ', in bursts' : ''}`);
      if (options.stream.burst !== burst) await stage.play(options.stream);
      burst = options.stream.burst;
      runs.push(await measureRun(stage, relay, options));
    }
    const missing = PEERS.filter((relay) => !canRun(relay)).map(({ name }) => name);
    return { seconds: plan.seconds, origin, missing, runs };
  } finally {
    await stage.close();
  }
}

/** Of the runs whose cost was measured, by UDP. */
function figures({ runs, origin }: PeersResult): Figure[] {
  const values = runs
    .filter(({ made, failure }) => made.length > 0 && failure === undefined)
    .map((run) => ({
      relay: run.relay,
      viewers: run.viewers,
      us: spread(perCopy(run, 'made', origin)).median,
    }))
    .filter(({ us }) => us > 0);
  if (values.length === 0) return [];
  return [
    {
      name: 'suite-peers',
      alt: 'machine cost of a copy made, against viewers over UDP, for each relay',
      spec: lines(
        values,
        { field: 'viewers', title: 'viewers', log: true },
        { field: 'us', title: 'us of a core per copy', log: true },
        'relay',
      ),
    },
  ];
}

export const peers: SuiteSection<PeersResult> = {
  name: 'peers',
  title: 'This proxy and others',
  expectedSeconds,
  measure,
  render: (result) => renderPeers(result, figures(result)),
  figures,
};
