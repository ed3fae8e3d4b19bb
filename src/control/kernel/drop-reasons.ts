// SPDX-License-Identifier: Apache-2.0
// The names of the drop reasons, the same for every engine: those of `enum fanout_drop` in kebab case.
import { Drop } from './abi.gen.js';

export type DropName = Exclude<keyof typeof Drop, 'NONE' | 'MAX'>;

const NAMES = Object.entries(Drop).filter(([name]) => name !== 'NONE' && name !== 'MAX');
const BY_NUMBER = new Map(NAMES.map(([name, number]) => [number as number, kebab(name)]));

function kebab(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

/** All reasons in the order of their numbers, e.g. `not-source`. */
export const DROP_REASONS: readonly string[] = [...BY_NUMBER.values()];

/** `1` -> `not-source`. */
export function dropReason(number: number): string {
  return BY_NUMBER.get(number) ?? `reason-${number}`;
}
