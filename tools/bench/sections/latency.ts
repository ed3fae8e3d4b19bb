// SPDX-License-Identifier: Apache-2.0
// How much later than it left the source a packet reaches the first and the last of 90 viewers.
import { figure, table, verdict } from '../markdown.js';
import { Path } from '../path.js';
import type { Context, Section } from '../section.js';
import { percentile } from '../statistics.js';

const RATE = { pps: 271, bytes: 466 };
const TARGET_MS = 1;

interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

interface Run {
  readonly burst: number;
  readonly packets: number;
  /** Of which not every copy came. */
  readonly incomplete: number;
  /** Microseconds. */
  readonly first: Times;
  readonly last: Times;
}

export interface LatencyResult {
  readonly viewers: number;
  readonly runs: readonly Run[];
}

interface Noted {
  readonly sent: number;
  readonly complete: number;
  readonly ns: readonly (readonly [number, number])[];
}

function times(ns: readonly number[]): Times {
  const us = ns.map((value) => value / 1000);
  return { p50: percentile(us, 0.5), p99: percentile(us, 0.99), most: percentile(us, 1) };
}

async function measure(context: Context): Promise<LatencyResult> {
  const viewers = 90;
  const seconds = context.quick ? 1 : 20;
  const path = await Path.build(context.addresses);
  const runs: Run[] = [];
  try {
    const fanout = await path.open(context.engines[0], viewers);
    for (const burst of [1, 30]) {
      context.progress(`latency: bursts of ${burst}`);
      const clock = await path.latency(viewers);
      await path.send({ ...RATE, burst }, seconds);
      await fanout.settled();
      await clock.finish();
      const noted = JSON.parse(clock.stdout.split('\n')[1]!) as Noted;
      runs.push({
        burst,
        packets: noted.sent,
        incomplete: noted.sent - noted.complete,
        first: times(noted.ns.map(([first]) => first)),
        last: times(noted.ns.map(([, last]) => last)),
      });
    }
    await fanout.close();
    return { viewers, runs };
  } finally {
    await path.close();
  }
}

function render(r: LatencyResult): string[] {
  const even = r.runs[0]!;
  const cells = ({ p50, p99, most }: Times) => [p50, p99, most].map((us) => figure(us, 0));
  return [
    `${r.viewers} viewers, ${RATE.pps} packets/s of ${RATE.bytes} B (1 Mbit/s), in microseconds from the egress of the source's device to the ` +
      "ingress of the viewers' (both links included), stamped by the kernel per packet and copy.",
    table(
      ['burst', 'packets', 'incomplete', 'first p50', 'p99', 'most', 'last p50', 'p99', 'most'],
      r.runs.map((run) => [
        figure(run.burst),
        figure(run.packets),
        figure(run.incomplete),
        ...cells(run.first),
        ...cells(run.last),
      ]),
    ),
    `Last viewer, p99, packets evenly spaced: ${figure(even.last.p99 / 1000, 3)} ms: ` +
      `${verdict(even.last.p99 < TARGET_MS * 1000, `below ${TARGET_MS} ms`)}.`,
  ];
}

export const latency: Section<LatencyResult> = {
  name: 'latency',
  title: 'Added latency',
  measure,
  render,
};
