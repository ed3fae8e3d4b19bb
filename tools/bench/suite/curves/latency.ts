// SPDX-License-Identifier: Apache-2.0
// How much later than it left the source a packet reaches the first and the last of more and more viewers.
import type { AnyEngine } from '../../engines.js';
import { Path } from '../../path.js';
import type { Context } from '../../section.js';
import { percentile } from '../../statistics.js';
import { THESIS } from '../stage.js';

/** Microseconds. */
export interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export interface LatencyPoint {
  readonly engine: AnyEngine;
  readonly viewers: number;
  readonly packets: number;
  /** Of which not every copy came. */
  readonly incomplete: number;
  readonly first: Times;
  readonly last: Times;
}

const FEW = [10, 100, 500];
const MANY = [...FEW, 1000, 2000];
/** The process alone cannot serve so many. */
const COUNTS: Readonly<Record<AnyEngine, readonly number[]>> = { tc: MANY, xdp: MANY, userspace: FEW };

interface Noted {
  readonly sent: number;
  readonly complete: number;
  readonly ns: readonly (readonly [number, number])[];
}

function times(ns: readonly number[]): Times {
  const at = (share: number) => percentile(ns, share) / 1000;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}

export async function measureLatency(context: Context): Promise<LatencyPoint[]> {
  const { quick, engines, addresses, progress } = context;
  const points: LatencyPoint[] = [];
  const path = await Path.build(addresses);
  const traffic = { pps: THESIS.packetsPerSecond, bytes: THESIS.bytes, burst: 1 };
  try {
    for (const engine of quick ? engines.slice(0, 1) : ([...engines, 'userspace'] as const))
      for (const viewers of quick ? [10] : COUNTS[engine]) {
        progress(`latency, ${engine}, ${viewers} viewers`);
        const fanout = await path.open(engine, viewers);
        const clock = await path.latency(viewers);
        await path.send(traffic, quick ? 0.5 : 3);
        await fanout.settled();
        await clock.finish();
        await fanout.close();
        const { sent, complete, ns } = JSON.parse(clock.stdout.split('\n')[1]!) as Noted;
        const [first, last] = [times(ns.map(([one]) => one)), times(ns.map(([, one]) => one))];
        points.push({ engine, viewers, packets: sent, incomplete: sent - complete, first, last });
      }
    return points;
  } finally {
    await path.close();
  }
}
