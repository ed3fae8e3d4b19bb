// SPDX-License-Identifier: Apache-2.0
// What happened between two moments of a run, as rates and shares.
import { HEADERS } from '../narrow-link.js';
import { busyBetween, type Busy } from './busy.js';
import type { Moment } from './scene.js';

export interface Between {
  readonly seconds: number;
  /** All copies that were due, sent or refused at the interface, as frames: Mbit/s. */
  readonly offeredMbit: number;
  /** As they arrived with the viewers. */
  readonly carriedMbit: number;
  /** RTP as it arrived, kbit/s: mean, and what the least and most served of them had. */
  readonly perViewerKbit: { readonly mean: number; readonly least: number; readonly most: number };
  /** Jain's index of these. */
  readonly jain: number;
  /** Of copies due, 0 to 1: as counted at both ends, and as the viewers' reports said. */
  readonly loss: number;
  readonly lossReported: number;
  /** Of the base layer's packets. */
  readonly baseLoss: number;
  /** Mean of the allowances, and changes of one in a minute. */
  readonly allowance: number;
  readonly changesPerMinute: number;
  readonly busy?: Busy;
}

export function between(a: Moment, b: Moment): Between {
  const seconds = (b.ms - a.ms) / 1000;
  const mbit = (bytes: number, packets: number) => ((bytes + HEADERS * packets) * 8) / 1e6 / seconds;
  const sent = minus(totals(b), totals(a));
  const got = b.seen.map((now, i) => ({
    bytes: now.bytes - a.seen[i]!.bytes,
    packets: now.packets - a.seen[i]!.packets,
    base: now.base - a.seen[i]!.base,
    baseLost: now.baseLost - a.seen[i]!.baseLost,
  }));
  const sum = (of: (one: (typeof got)[number]) => number) => got.reduce((total, one) => total + of(one), 0);
  const due = sent.packets + sent.refused;
  const bytesDue = sent.bytes + (sent.packets === 0 ? 0 : (sent.refused * sent.bytes) / sent.packets);
  const kbit = got.map(({ bytes }) => (bytes * 8) / 1000 / seconds);
  const base = sum((one) => one.base + one.baseLost);
  return {
    seconds,
    offeredMbit: mbit(bytesDue, due),
    carriedMbit: mbit(
      sum((one) => one.bytes),
      sum((one) => one.packets),
    ),
    perViewerKbit: {
      mean: kbit.reduce((x, y) => x + y, 0) / kbit.length,
      least: Math.min(...kbit),
      most: Math.max(...kbit),
    },
    jain: jainIndex(kbit),
    loss: due === 0 ? 0 : Math.max(0, 1 - sum((one) => one.packets) / due),
    lossReported: due === 0 ? 0 : sent.reported / due,
    baseLoss: base === 0 ? 0 : sum((one) => one.baseLost) / base,
    allowance: sent.allowance,
    changesPerMinute: (sent.changes / b.clients.length / seconds) * 60,
    busy: busyBetween(a.busy, b.busy),
  };
}

/** Over all viewers. `refused`: copies of packets that were refused whole, and copies that the egress did not take. */
function totals({ clients, status }: Moment) {
  const tracks = clients.flatMap((client) => client.tracks);
  const add = (of: (track: (typeof tracks)[number]) => number) =>
    tracks.reduce((sum, track) => sum + of(track), 0);
  return {
    packets: add((track) => track.packets),
    bytes: add((track) => track.bytes),
    refused: (status.drops['no-ticket'] ?? 0) * tracks.length + add((track) => track.drops),
    reported: add((track) => track.loss?.cumulative ?? 0),
    changes: add((track) => track.layers?.changes ?? 0),
    allowance: add((track) => track.layers?.allowance ?? 7) / tracks.length,
  };
}

type Totals = ReturnType<typeof totals>;

/** But the allowance, which is the later one's. */
function minus(b: Totals, a: Totals): Totals {
  const keys = Object.keys(b) as (keyof Totals)[];
  const difference = Object.fromEntries(keys.map((key) => [key, b[key] - a[key]])) as unknown as Totals;
  return { ...difference, allowance: b.allowance };
}

function jainIndex(values: readonly number[]): number {
  const sum = values.reduce((a, b) => a + b, 0);
  const squares = values.reduce((a, b) => a + b * b, 0);
  return squares === 0 ? 1 : sum ** 2 / (values.length * squares);
}
