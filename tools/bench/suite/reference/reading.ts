// SPDX-License-Identifier: Apache-2.0
// What so many viewers of a relay get in some seconds: counted where they are, as their reports said, and what the machine does
// meanwhile.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientRow } from '../../../../src/control/api/types.js';
import { ask } from '../../../../src/proxyctl/api-client.js';
import type { Got } from '../../../load/counted.js';
import { spin } from '../../machine-cost.js';
import { HEADERS } from '../../narrow-link.js';
import { flowing, openAudience } from '../audience.js';
import { rates, usage } from '../process.js';
import type { Stage } from '../stage.js';
import type { Engine } from './engine.js';

export interface Reading {
  readonly engine: string;
  readonly viewers: number;
  readonly joined: number;
  /** That everything on the machine keeps busy, and the proxy's process. */
  readonly cores: number;
  readonly processCores: number;
  /** Frames that arrived, Mbit/s. */
  readonly mbit: number;
  /** Of what was due, 0 to 1: counted at the viewers, and as their receiver reports told the proxy. */
  readonly loss: number;
  readonly lossReported: number;
  /** Standard deviation of a viewer's loss from the others', 0 to 1. */
  readonly deviation: number;
}

export interface ReadingOptions {
  readonly viewers: number;
  readonly seconds: number;
  /** Cores that the idle machine keeps busy. */
  readonly idle: number;
  /** Seconds with all viewers before those that are measured: until what can wait is full. */
  readonly fill: number;
}

/** Between the receiver reports of each: short, so that they tell of the seconds that are measured. */
const REPORT_S = 1;

/** The best of three, in cores: whatever else runs only adds to it. */
export async function idleLoad(seconds: number): Promise<number> {
  const lost: number[] = [];
  for (let i = 0; i < 3; i++) lost.push((await spin(seconds / 2)).lost);
  return Math.min(...lost);
}

export async function read(
  stage: Stage,
  engine: Engine,
  { viewers, seconds, idle, fill }: ReadingOptions,
): Promise<Reading> {
  const audience = await openAudience(stage, engine.url, viewers, { transport: 'udp', report: REPORT_S });
  try {
    await flowing(audience);
    if (fill > 0) {
      await sleep(fill * 1000);
      await audience.got();
    }
    const [before, reported] = [usage(engine.pid), await reportedLost(engine.socket)];
    const cores = (await spin(seconds)).lost - idle;
    const [got, after] = [await audience.got(), usage(engine.pid)];
    const took = (after.ms - before.ms) / 1000;
    await sleep(REPORT_S * 1000); // until the last of it has been reported
    const lastReported = await reportedLost(engine.socket);
    const shares = lossOf(got, viewers);
    const due = (got.packets + got.lost) * (viewers / Math.max(1, viewers - got.nothing));
    return {
      ...{ engine: engine.name, viewers, joined: audience.joined, cores },
      processCores: rates(before, after).cores,
      mbit: ((got.bytes + HEADERS * got.packets) * 8) / 1e6 / took,
      // What was reported in as long, a second later.
      lossReported: ((lastReported - reported) / due) * (took / (took + REPORT_S)),
      ...shares,
    };
  } finally {
    await audience.leave();
  }
}

/** In all, as the viewers of now said last. */
async function reportedLost(socket: string): Promise<number> {
  const clients = await ask<ClientRow[]>(socket, 'GET', '/clients');
  return clients
    .flatMap(({ tracks }) => tracks)
    .reduce((sum, { loss }) => sum + Math.max(0, loss?.cumulative ?? 0), 0);
}

/** Who gets nothing loses all; from the others' sequence numbers one knows how much that is. */
export function lossOf(
  got: Pick<Got, 'packets' | 'lost' | 'nothing' | 'losses'>,
  viewers: number,
): { loss: number; deviation: number } {
  const served = viewers - got.nothing;
  if (served <= 0) return { loss: 1, deviation: 0 };
  const due = (got.packets + got.lost) / served;
  const shares = Array.from({ length: viewers }, (_, i) =>
    i < viewers - got.nothing ? (got.losses[i] ?? 0) / due : 1,
  );
  const mean = shares.reduce((sum, share) => sum + share, 0) / viewers;
  const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / viewers;
  return { loss: (got.lost + got.nothing * due) / (viewers * due), deviation: Math.sqrt(variance) };
}
