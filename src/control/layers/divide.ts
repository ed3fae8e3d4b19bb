// SPDX-License-Identifier: Apache-2.0
// So many bytes per second among viewers of one stream: all get the same layers, as far as they want them, and what is
// left over gives some of them one more, who change in turn.

import type { Ladder } from './ladder.js';

export interface Demand {
  /** Index of the rung up to which the viewer may have it otherwise. */
  readonly rung: number;
}

/** Turns begin so far apart that all get as many; and while a turn lasts, more or less room makes few change. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** The rung of each. The base is given even where there is too little for it. */
export function divide(
  budget: number,
  demands: readonly Demand[],
  ladder: Ladder,
  turn: number,
): readonly number[] {
  const total = (level: number) =>
    demands.reduce((sum, { rung }) => sum + ladder[Math.min(rung, level)]!.rate, 0);
  let level = 0;
  while (level + 1 < ladder.length && total(level + 1) <= budget) level++;
  const rungs = demands.map(({ rung }) => Math.min(rung, level));
  if (level + 1 >= ladder.length) return rungs;

  const price = ladder[level + 1]!.rate - ladder[level]!.rate;
  const candidates = demands.flatMap(({ rung }, i) => (rung > level ? [i] : []));
  const winners = Math.min(candidates.length, Math.max(0, Math.floor((budget - total(level)) / price)));
  const first = Math.floor(candidates.length * ((turn * GOLDEN) % 1));
  for (let k = 0; k < winners; k++) rungs[candidates[(first + k) % candidates.length]!]!++;
  return rungs;
}
