// SPDX-License-Identifier: Apache-2.0
// The layers of a stream as rungs: what a viewer needs who gets everything up to one of them.

export interface Rung {
  /** 0 to 7. */
  readonly layer: number;
  /** Of this layer and all below, bytes per second. */
  readonly rate: number;
}

/** Upwards; layers in which nothing comes are left out. With fewer than two there is nothing to choose. */
export type Ladder = readonly Rung[];

/** A layer that is gone fades out of its average; below this it counts as gone, bytes per second. */
const NOTHING = 1;

/** `averages`: bytes per second of each layer by itself. */
export function ladderOf(averages: readonly number[]): Ladder {
  let rate = 0;
  return averages.flatMap((average, layer) => {
    rate += average;
    return average < NOTHING ? [] : [{ layer, rate }];
  });
}

/** The index of the rung that a viewer with that allowance stands on: the highest at or below it. */
export function standsOn(ladder: Ladder, allowance: number): number {
  return Math.max(
    0,
    ladder.findLastIndex(({ layer }) => layer <= allowance),
  );
}

/** The index of the highest rung that fits, or the lowest: the base is always sent. */
export function highestWithin(ladder: Ladder, rate: number): number {
  return Math.max(
    0,
    ladder.findLastIndex((rung) => rung.rate <= rate),
  );
}
