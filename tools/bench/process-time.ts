// SPDX-License-Identifier: Apache-2.0
// Processor time of a process, finer than the kernel's tick.
import { readFileSync, readdirSync } from 'node:fs';

/** CPU time of all threads of a process, nanoseconds. */
export function cpuNs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]))
    .reduce((sum, ns) => sum + ns, 0);
}
