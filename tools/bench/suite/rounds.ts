// SPDX-License-Identifier: Apache-2.0
// A relay's viewers with the origin turned on and off again and again: what the machine does for the copies, and what the relay's
// process has of it.
import { setTimeout as sleep } from 'node:timers/promises';
import { costOfRounds, spin } from '../machine-cost.js';
import { rates, usage, type Rates, type Usage } from './process.js';
import type { Stage } from './stage.js';

/** The time in a round in which the origin played. */
export interface Round {
  /** That everything together kept busy, against the time just before and after, when it did not. */
  readonly cores: number;
  readonly copiesPerSecond: number;
  /** Of the relay's process, and of the machine. */
  readonly rates: Rates;
}

export interface RoundsOptions {
  readonly rounds: number;
  /** With the origin on, and as long with it off. */
  readonly seconds: number;
  /** The relay's. */
  readonly pid: number;
  /** Copies, from whenever on. */
  readonly copies: () => Promise<number>;
}

/** From turning the origin off to the first reading: what is under way arrives. */
const QUIET_MS = 300;

interface Mark {
  readonly copies: number;
  readonly usage: Usage;
}

/** The origin plays before and after. */
export async function measureRounds(
  stage: Stage,
  { rounds, seconds, pid, copies }: RoundsOptions,
): Promise<Round[]> {
  if (rounds === 0) return [];
  const marks: Mark[] = [];
  const note = async () => void marks.push({ copies: await copies(), usage: usage(pid) });
  try {
    stage.pause();
    await sleep(QUIET_MS);
    const cores = await costOfRounds(rounds, seconds, async () => {
      stage.goOn();
      return { mark: note, stop: async () => stage.pause() };
    });
    return cores.map((busy, i) => roundOf(busy, marks[2 * i]!, marks[2 * i + 1]!));
  } finally {
    stage.goOn();
  }
}

export interface SteadyOptions extends RoundsOptions {
  /** Cores that the machine keeps busy without the relay. */
  readonly idle: number;
}

/**
 * The same of a relay that cannot keep up: it would work on while the origin is off, so the origin plays on, and what is taken off is
 * what the machine does without that relay.
 */
export async function measureSteady({ rounds, seconds, pid, copies, idle }: SteadyOptions): Promise<Round[]> {
  const measured: Round[] = [];
  for (let i = 0; i < rounds; i++) {
    const from = { copies: await copies(), usage: usage(pid) };
    const { lost } = await spin(seconds);
    measured.push(roundOf(lost - idle, from, { copies: await copies(), usage: usage(pid) }));
  }
  return measured;
}

function roundOf(cores: number, from: Mark, to: Mark): Round {
  const seconds = (to.usage.ms - from.usage.ms) / 1000;
  return {
    cores,
    copiesPerSecond: (to.copies - from.copies) / seconds,
    rates: rates(from.usage, to.usage),
  };
}
