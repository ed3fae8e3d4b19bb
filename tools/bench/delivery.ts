// SPDX-License-Identifier: Apache-2.0
// One run with every viewer's packets counted where they arrive, followed from the source to there: what was lost, and
// where.
import type { EngineName } from './engines.js';
import type { Fanout } from './fanout.js';
import type { Counters } from './protocol.js';
import { type Path, type Sent, type Traffic, finalCount } from './path.js';

export interface Delivery {
  readonly viewers: number;
  readonly traffic: Traffic;
  readonly seconds: number;
  /** Packets that the source sent, that reached the engine, and that it refused whole. */
  readonly sent: number;
  readonly entered: number;
  readonly refused: number;
  /** Copies: handed to the egress, dropped by the engine instead, arrived. */
  readonly handedOver: number;
  readonly dropped: number;
  readonly arrived: number;
  /** The engine's own drop counters, by reason; those with none left out. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Over all viewers: packets sent and not arrived; the counter's judgement by sequence numbers. */
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  /** Packets lost by the viewer that lost fewest, and by the one that lost most. */
  readonly leastLost: number;
  readonly mostLost: number;
  /** Passes for each packet, and those that a full egress ended. */
  readonly passes: number;
  readonly full: number;
}

/** Sends to the viewers that `fanout` has; `meanwhile` is called when the source starts. */
export async function deliver(
  path: Path,
  fanout: Fanout,
  viewers: number,
  traffic: Traffic,
  seconds: number,
  meanwhile: () => void = () => {},
): Promise<Delivery> {
  const before = await fanout.settled();
  const counter = await path.count();
  const sending: Promise<Sent> = path.send(traffic, seconds);
  meanwhile();
  const sent = await sending;
  const after = await fanout.settled();
  const { rows, ...totals } = await finalCount(counter);
  if (totals.other || totals.aggregated || totals.overflow)
    throw new Error(`counter: ${JSON.stringify(totals)}`);
  const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((all, row) => all + of(row), 0);
  const unique = rows.map((row) => row.packets - row.duplicated - row.old);
  while (unique.length < viewers) unique.push(0); // got nothing at all
  const delta = (of: (counters: Counters) => number) => of(after) - of(before);
  return {
    viewers,
    traffic,
    seconds,
    sent: sent.sent,
    entered: delta(({ stream }) => stream.packets),
    refused: delta(({ stream }) => stream.refused),
    handedOver: delta((counters) => counters.viewers.packets),
    dropped: delta((counters) => counters.viewers.drops),
    arrived: totals.rtp,
    reasons: newDrops(before.drops, after.drops),
    lost: unique.reduce((all, got) => all + sent.sent - got, 0),
    duplicated: sum((row) => row.duplicated + row.old),
    reordered: sum((row) => row.reordered),
    leastLost: unique.reduce((least, got) => Math.min(least, sent.sent - got), Infinity),
    mostLost: unique.reduce((most, got) => Math.max(most, sent.sent - got), 0),
    passes: delta(({ facts }) => Number(facts['passes'])) / sent.sent,
    full: delta(({ facts }) => Number(facts['passes that met a full egress'])) / sent.sent,
  };
}

function newDrops(before: Counters['drops'], after: Counters['drops']): Record<string, number> {
  const old = new Map(before.map(({ reason, count }) => [reason, count]));
  const counts = after.map(({ reason, count }) => [reason, count - (old.get(reason) ?? 0)] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

/** The same with an engine of its own. */
export async function deliverTo(
  path: Path,
  engine: EngineName,
  viewers: number,
  traffic: Traffic,
  seconds: number,
): Promise<Delivery> {
  const fanout = await path.open(engine, viewers);
  const delivery = await deliver(path, fanout, viewers, traffic, seconds);
  await fanout.close();
  return delivery;
}

export const isExact = ({ lost, duplicated, reordered }: Delivery) => lost + duplicated + reordered === 0;

/** Where packets went missing, in the order of their way, and what the engine counted as the reason. */
export function losses(d: Delivery): string {
  const unserved = (d.entered - d.refused) * d.viewers - d.handedOver - d.dropped;
  const places = [
    [d.sent - d.entered, "packets before the engine (source's link)"],
    [d.refused, 'packets at the entrance'],
    [unserved, 'copies never made (their packet was given up)'],
    [d.dropped, 'copies that the egress did not take'],
    [d.handedOver - d.arrived, 'copies after the engine (egress device, receiver)'],
  ] as const;
  const found = places.filter(([count]) => count !== 0).map(([count, where]) => `${count} ${where}`);
  const reasons = Object.entries(d.reasons).map(([reason, count]) => `${reason} ${count}`);
  if (reasons.length > 0) found.push(`counted: ${reasons.join(', ')}`);
  return found.join('; ') || 'nowhere';
}
