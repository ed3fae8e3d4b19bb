// SPDX-License-Identifier: Apache-2.0
// What a load costs the whole machine: the time that idle-priority spinners lose while it runs, less what they lose on the idle
// machine just before and just after (tick accounting misses or doubles softirq work).
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../netns/child.js';
import { wireTool } from '../wire/counter.js';

export interface Cost {
  /** Cores that the load kept busy on average. */
  readonly cores: number;
  /** That something kept busy just before and after: how quiet the machine was meanwhile. */
  readonly idle: number;
}

/** A load that is running. */
export interface Load {
  /** Called when the measured time begins and when it ends. */
  mark(): Promise<void>;
  stop(): Promise<void>;
}

export interface Spun {
  /** That the machine has. */
  readonly cores: number;
  /** Cores that something else than the spinners kept busy. */
  readonly lost: number;
}

/** From the start of a load to the measured time, milliseconds. */
const SETTLE_MS = 500;

/** What the spinners lose in so long. */
export async function spin(seconds: number): Promise<Spun> {
  const options = { timeoutMs: seconds * 1000 + 30_000 };
  return JSON.parse(await run(wireTool('spin'), ['--seconds', `${seconds}`], options)) as Spun;
}

/** Measures for so long, with half as long of idleness before and after. */
export async function machineCost(seconds: number, start: () => Promise<Load>): Promise<Cost> {
  const before = await spin(seconds / 2);
  const load = await start();
  await sleep(SETTLE_MS);
  await load.mark();
  const loaded = await spin(seconds);
  await load.mark();
  await load.stop();
  await sleep(SETTLE_MS);
  const after = await spin(seconds / 2);
  const idle = (before.lost + after.lost) / 2;
  return { cores: loaded.lost - idle, idle };
}

/** From turning a load on or off to the next reading, milliseconds. */
const TURN_MS = 200;

/**
 * A load that is turned on and off again and again: cores that it kept busy in each round, against the readings of the idle
 * machine just before and after. Whatever else changes slowly, as a shared host does, then does not matter, and how far the
 * rounds lie apart tells what the mean is worth.
 */
export async function costOfRounds(
  rounds: number,
  seconds: number,
  start: () => Promise<Load>,
): Promise<number[]> {
  const idle = [await spin(seconds)];
  const loaded: Spun[] = [];
  for (let i = 0; i < rounds; i++) {
    const load = await start();
    await sleep(TURN_MS);
    await load.mark();
    loaded.push(await spin(seconds));
    await load.mark();
    await load.stop();
    await sleep(TURN_MS);
    idle.push(await spin(seconds));
  }
  return loaded.map(({ lost }, i) => lost - (idle[i]!.lost + idle[i + 1]!.lost) / 2);
}
