// SPDX-License-Identifier: Apache-2.0
// This proxy beside what people use: the same origin, the same viewers, the same counter, one after the other.
import type { Context } from '../../section.js';
import { PEERS } from '../relays/all.js';
import { canRun } from '../relays/relay.js';
import type { SuiteSection } from '../section.js';
import { Stage, THESIS, type Stream } from '../stage.js';
import { measureOrigin, type Origin } from './origin.js';
import { expectedSeconds, runsOf, secondsOf } from './plan.js';
import { peersFigures } from './figures.js';
import { renderPeers } from './report.js';
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

export const peers: SuiteSection<PeersResult> = {
  name: 'peers',
  title: 'This proxy and others',
  expectedSeconds,
  measure,
  render: (result) => renderPeers(result, peersFigures(result)),
  figures: peersFigures,
};
