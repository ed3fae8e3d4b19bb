// SPDX-License-Identifier: Apache-2.0
// What the benchmarks' command lines have in common.
import { InvalidArgumentError } from 'commander';

/** Of an option's text. @throws commander's error, which names the option. */
export const wholeNumber = (low: number, high: number) => (text: string) => {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(value >= low && value <= high))
    throw new InvalidArgumentError(`Give a whole number from ${low} to ${high}.`);
  return value;
};

/** For `--repeats`. */
export const REPEATS = wholeNumber(1, 100);
