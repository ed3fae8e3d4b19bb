// SPDX-License-Identifier: Apache-2.0
// What is told of repeated measurements.

/** Over the repeats. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Nearest rank; `share` from 0 to 1. NaN of nothing. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

/** The mean of the middle two of an even number. */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
  return { median: middle, least: sorted[0]!, most: sorted.at(-1)! };
}

/** Of the mean; Infinity of fewer than two values. */
export function standardError(values: readonly number[]): number {
  const n = values.length;
  if (n < 2) return Infinity;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1) / n);
}

/** A mean, and how far it may be off. */
export interface Estimate {
  readonly mean: number;
  readonly error: number;
}

export function estimate(values: readonly number[]): Estimate {
  return {
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    error: standardError(values),
  };
}

export const minus = (a: Estimate, b: Estimate): Estimate => ({
  mean: a.mean - b.mean,
  error: Math.hypot(a.error, b.error),
});

export const times = ({ mean, error }: Estimate, factor: number): Estimate => ({
  mean: mean * factor,
  error: error * Math.abs(factor),
});

/** By the first terms of its Taylor series: for a `b` that is well apart from 0. */
export const ratio = (a: Estimate, b: Estimate): Estimate => ({
  mean: a.mean / b.mean,
  error: Math.hypot(a.error / b.mean, (a.mean * b.error) / b.mean ** 2),
});

/** Standard errors beyond which one in twenty means would lie by chance, on one side. */
const SURE = 1.645;

/** Whether it is at most so much; undefined: it may be either. */
export function isAtMost({ mean, error }: Estimate, most: number): boolean | undefined {
  if (mean + SURE * error <= most) return true;
  return mean - SURE * error > most ? false : undefined;
}
