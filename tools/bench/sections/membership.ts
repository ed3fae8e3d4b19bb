// SPDX-License-Identifier: Apache-2.0
// Joining and leaving among thousands of viewers while they watch, and reading everybody's counters.
import { type Delivery, deliver, isExact, losses } from '../delivery.js';
import { figure, table, verdict } from '../markdown.js';
import { Path } from '../path.js';
import type { Churned } from '../protocol.js';
import type { Context, Section } from '../section.js';
import { percentile } from '../statistics.js';

const TRAFFIC = { pps: 100, bytes: 466, burst: 1 };
const JOIN_TARGET_MS = 1;
const READ_TARGET_MS = 10;
/** Other ports of the same addresses: their next hops are known. */
const GUEST_PORT = 40_000;

export interface MembershipResult {
  readonly residents: number;
  /** Milliseconds. */
  readonly joinMs: Times;
  readonly leaveMs: Times;
  readonly guests: number;
  readonly delivery: Delivery;
  readonly readers: number;
  readonly readMs: Times;
}

interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

const times = (ms: readonly number[]): Times => ({
  p50: percentile(ms, 0.5),
  p99: percentile(ms, 0.99),
  most: percentile(ms, 1),
});

async function measure(context: Context): Promise<MembershipResult> {
  const residents = context.quick ? 100 : 4000;
  const guests = context.quick ? 50 : 1000;
  const readers = context.quick ? 500 : 10_000;
  const seconds = context.quick ? 2 : 15;
  const path = await Path.build(context.addresses);
  try {
    context.progress(`membership: ${residents} viewers join`);
    const fanout = await path.open(context.engines[0], residents);
    context.progress(`membership: ${guests} come and go meanwhile`);
    let churned: Promise<Churned> | undefined;
    const crowd = { ...path.crowd, firstPort: GUEST_PORT };
    const delivery = await deliver(path, fanout, residents, TRAFFIC, seconds, () => {
      churned = fanout.ask('churn', { crowd, from: 0, count: guests, pauseMs: context.quick ? 2 : 3 });
    });
    const { joinMs, leaveMs } = (await churned)!;
    context.progress(`membership: reading ${readers} viewers' counters`);
    await fanout.ask('add', { crowd: path.crowd, count: readers - residents });
    const { ms } = await fanout.ask('readAll', { times: 50 });
    await fanout.close();
    const measured = { joinMs: times(joinMs), leaveMs: times(leaveMs), guests, delivery };
    return { residents, ...measured, readers, readMs: times(ms) };
  } finally {
    await path.close();
  }
}

function render(r: MembershipResult): string[] {
  const cells = ({ p50, p99, most }: Times) => [p50, p99, most].map((ms) => figure(ms, 3));
  const fast = r.joinMs.p99 < JOIN_TARGET_MS && r.leaveMs.p99 < JOIN_TARGET_MS;
  const { delivery: d } = r;
  return [
    `${figure(r.residents)} viewers get ${d.traffic.pps} packets/s of ${d.traffic.bytes} B; ${figure(r.guests)} more join, then leave, one ` +
      'after the other, at addresses whose next hop is known. In milliseconds, as the control plane sees it.',
    table(
      ['', 'p50', 'p99', 'most'],
      [
        ['join', ...cells(r.joinMs)],
        ['leave', ...cells(r.leaveMs)],
        [`reading the counters of ${figure(r.readers)} viewers`, ...cells(r.readMs)],
      ],
    ),
    `Join and leave, p99: ${verdict(fast, `below ${JOIN_TARGET_MS} ms each`)}.`,
    `The others: ${figure(d.sent * d.viewers)} copies due, ${figure(d.lost)} lost, ${figure(d.duplicated)} duplicated, ` +
      `${figure(d.reordered)} reordered, lost where: ${losses(d)}: ${verdict(isExact(d), 'no lost packet')}.`,
    `Reading all counters, p50: ${figure(r.readMs.p50, 2)} ms: ${verdict(r.readMs.p50 < READ_TARGET_MS, `below ${READ_TARGET_MS} ms`)}.`,
  ];
}

export const membership: Section<MembershipResult> = {
  name: 'membership',
  title: 'Joining, leaving, reading counters',
  measure,
  render,
};
