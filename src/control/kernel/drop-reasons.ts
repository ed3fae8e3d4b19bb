// SPDX-License-Identifier: Apache-2.0
// The names of the drop reasons, the same for every engine: those of `enum fanout_drop` in kebab case.
import { Drop } from './abi.gen.js';

export type DropName = Exclude<keyof typeof Drop, 'NONE' | 'MAX'>;

/** All reasons in the order of their numbers, e.g. 1 `not-source`. What each means is in docs/drops.md. */
export const DROPS: readonly { readonly number: number; readonly reason: string }[] = Object.entries(Drop)
  .filter(([name]) => name !== 'NONE' && name !== 'MAX')
  .map(([name, number]) => ({ number, reason: name.toLowerCase().replaceAll('_', '-') }));

export const DROP_REASONS: readonly string[] = DROPS.map(({ reason }) => reason);
