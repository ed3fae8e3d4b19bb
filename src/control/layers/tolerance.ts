// SPDX-License-Identifier: Apache-2.0
// Loss that is no reason to step back. Viewers that share a queue see the same loss, so it cannot tell who has too much; what
// the others have can: who has more than is typical tolerates less, who has less tolerates more, and so they become even.

/** 0 to 1. */
export const TOLERANCE = {
  /** Of a viewer that nobody is to be compared with. */
  alone: 0.01,
  /** Of who has just what is typical; and the least and most of all. */
  typical: 0.02,
  least: 0.005,
  most: 0.03,
  /** How fast it falls with what the viewer has. */
  power: 8,
  /** Others of whom a median is taken, at least. */
  others: 3,
  /** Who has so many times as much, or as little, does not share their queue. */
  alike: 2,
} as const;

/** The median of what those have who lose something, bytes per second; undefined: they are too few. */
export function typicalOf(shares: readonly number[]): number | undefined {
  if (shares.length < TOLERANCE.others) return undefined;
  return [...shares].sort((a, b) => a - b)[shares.length >> 1];
}

export function isAlike(rate: number, typical: number | undefined): boolean {
  return typical !== undefined && rate <= TOLERANCE.alike * typical && typical <= TOLERANCE.alike * rate;
}

/** For a viewer that has `rate`, bytes per second: 0 to 1. */
export function tolerated(rate: number, typical: number | undefined): number {
  const { alone, least, most, power } = TOLERANCE;
  if (typical === undefined) return alone;
  return Math.min(most, Math.max(least, TOLERANCE.typical * (typical / rate) ** power));
}
