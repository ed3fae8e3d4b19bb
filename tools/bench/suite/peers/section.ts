// SPDX-License-Identifier: Apache-2.0
// This proxy beside what people use: the same origin, the same viewers, the same counter, one after the other.
import type { Context } from '../../section.js';
import { lines, type Figure } from '../../plot.js';
import { PEERS } from '../relays/all.js';
import { canRun } from '../relays/relay.js';
import type { SuiteSection } from '../section.js';
import { Stage, THESIS, type Stream } from '../stage.js';
import { measureOrigin, type Origin } from './origin.js';
import { expectedSeconds, runsOf, secondsOf } from './plan.js';
import { perCopy, renderPeers } from './report.js';
import { measureRun, type Run } from './run.js';

/** For each repeat. */
const ORIGIN_ROUNDS = 8;
const QUICK_ORIGIN_ROUNDS = 2;

export interface PeersResult {
  readonly seconds: number;
  readonly origin: Origin;
  /** Names of relays that are not here. */
  readonly missing: readonly string[];
  readonly runs: readonly Run[];
}

const isSame = (a: Stream, b: Stream) => JSON.stringify(a) === JSON.stringify(b);

async function measure(context: Context): Promise<PeersResult> {
  const seconds = secondsOf(context);
  const stage = await Stage.build(context.addresses);
  try {
    let playing: Stream = THESIS;
    await stage.play(playing);
    context.progress('the origin alone');
    const rounds = context.quick ? QUICK_ORIGIN_ROUNDS : ORIGIN_ROUNDS * context.repeats;
    const origin = await measureOrigin(stage, rounds, seconds);
    const runs: Run[] = [];
    for (const { relay, options } of runsOf(context)) {
      const { stream, transport, viewers } = options;
      const how = `${viewers} viewers ${transport === 'udp' ? 'by UDP' : 'interleaved'}`;
      context.progress(`${relay.name}, ${how}${stream.burst > 1 ? ', in bursts' : ''}`);
      if (!isSame(stream, playing)) await stage.play(stream);
      playing = stream;
      runs.push(await measureRun(stage, relay, options));
    }
    const missing = PEERS.filter((relay) => !canRun(relay)).map(({ name }) => name);
    return { seconds, origin, missing, runs };
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
      us: perCopy(run, 'made', origin).mean,
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
