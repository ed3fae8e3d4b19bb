// SPDX-License-Identifier: Apache-2.0
// What `make bench-joins` has measured, as Markdown.
import type { Machine } from './machine.js';
import { figure, range, table, verdict } from './markdown.js';
import { spread } from './statistics.js';

const MOST_MS = 50;

export interface JoinsRun {
  readonly engine: string;
  readonly joined: number;
  /** As they really came. */
  readonly perSecond: number;
  /** Milliseconds from connect() to the answer to PLAY. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** How late the viewers' process was itself, p99, milliseconds: so much of the figures may be its own. */
  readonly ownDelayMs: number;
  /** How often, by reason. */
  readonly failures: Readonly<Record<string, number>>;
  /** Processor time of the proxy per second, in cores. */
  readonly cores: number;
  /** The same per viewer that joined and left, milliseconds. */
  readonly cpuMs: number;
}

export interface JoinsResults {
  readonly measured: string;
  readonly rate: number;
  readonly seconds: number;
  readonly stayMs: number;
  /** That the viewers come from. */
  readonly addresses: number;
  readonly runs: readonly JoinsRun[];
  readonly machine: Machine;
}

/** Everybody in, at the rate that was asked for (within 2 %), in time. */
export function isMet({ rate, seconds }: JoinsResults, run: JoinsRun): boolean {
  return run.joined === rate * seconds && run.perSecond >= 0.98 * rate && run.p99 < MOST_MS;
}

export function renderJoins(r: JoinsResults): string[] {
  const { machine: m } = r;
  const met = r.runs.filter((run) => isMet(r, run)).length;
  return [
    `${figure(r.rate)} viewers per second join a path that plays, for ${r.seconds} s, from ${r.addresses} addresses: each connects, asks ` +
      `DESCRIBE (which is relayed to the source), SETUP and PLAY, and leaves with TEARDOWN ${r.stayMs} ms later. Before that as many ` +
      `seconds of the same that do not count, for programs that have just been started are slow. The proxy has one core to ` +
      'itself, the viewers and the source share another; media is thrown away where it arrives; the viewers’ process makes no full garbage collections. Milliseconds from connect() to the answer to PLAY, as the viewer sees it. ' +
      `Measured ${r.measured} by \`make bench-joins\`, commit ${m.commit}, ${m.cores} cores of ${m.processor}, kernel ${m.kernel}, Node ${m.node}.`,
    table(
      [
        'run',
        'engine',
        'joined',
        'per second',
        'p50',
        'p99',
        'most',
        'viewers late themselves, p99',
        'failed',
        'proxy, % of a core',
        'ms of it per viewer',
      ],
      r.runs.map((run, i) => [
        `${i + 1}`,
        run.engine,
        figure(run.joined),
        figure(run.perSecond),
        figure(run.p50, 1),
        figure(run.p99, 1),
        figure(run.max, 1),
        figure(run.ownDelayMs, 1),
        figure(Object.values(run.failures).reduce((sum, count) => sum + count, 0)),
        figure(100 * run.cores),
        figure(run.cpuMs, 2),
      ]),
    ),
    `p99, median of ${r.runs.length} runs: ${range(spread(r.runs.map(({ p99 }) => p99)), 1)} ms; in ${met} of ${r.runs.length} runs all ` +
      `join at that rate and in time: ${verdict(met === r.runs.length, `p99 below ${MOST_MS} ms, in every run`)}.`,
  ];
}
