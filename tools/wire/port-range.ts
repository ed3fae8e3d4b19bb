// SPDX-License-Identifier: Apache-2.0
// A range of UDP ports as the measuring programs' command lines have it.
import { InvalidArgumentError } from 'commander';

export interface PortRange {
  readonly low: number;
  /** Included. */
  readonly high: number;
}

/** Of an option's text. @throws commander's error, which names the option. */
export function portRange(text: string): PortRange {
  const [, low, high] = /^(\d{1,5})-(\d{1,5})$/.exec(text)?.map(Number) ?? [];
  if (!low || !high || high > 65_535 || low > high)
    throw new InvalidArgumentError('Give LOW-HIGH, e.g. 20000-59999.');
  return { low, high };
}
