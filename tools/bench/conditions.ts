// SPDX-License-Identifier: Apache-2.0
// How and where a benchmark was measured, as the table that its document begins with.
import type { Machine } from './machine.js';
import { table } from './markdown.js';

export interface Conditions {
  /** ISO 8601, UTC. */
  readonly measured: string;
  readonly command: string;
  readonly minutes: number;
  readonly machine: Machine;
}

/** `more`: what else bears on its figures. */
export function conditionsTable(
  { measured, command, minutes, machine: m }: Conditions,
  more: readonly (readonly [string, string])[],
): string {
  return table(
    ['measured', measured],
    [
      ['command', `\`${command}\``],
      ['took', `${minutes.toFixed(1)} minutes`],
      ['commit', m.commit],
      ['processor', `${m.cores} cores of ${m.processor}, ${m.memoryGiB} GiB, ${m.virtual}`],
      ['kernel', m.kernel],
      ...more,
      ['versions', `Node ${m.node}, libbpf ${m.libbpf}, ${m.compiler}`],
    ],
  );
}
