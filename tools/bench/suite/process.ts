// SPDX-License-Identifier: Apache-2.0
// What the kernel counts of a process and of the machine (proc(5)).
import { readFileSync, readdirSync } from 'node:fs';
import { cpuNs } from '../process-time.js';

/** Counters that grow, and the memory of now. */
export interface Usage {
  /** CLOCK_MONOTONIC of this process, ms. */
  readonly ms: number;
  /** Processor time of all threads, ns. */
  readonly cpuNs: number;
  /** Context switches of the process, and of the machine. */
  readonly switches: number;
  readonly machineSwitches: number;
  /** Resident set, MiB. */
  readonly rssMiB: number;
}

export function usage(pid: number): Usage {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    ms: performance.now(),
    cpuNs: cpuNs(pid),
    switches: readdirSync(`/proc/${pid}/task`)
      .map((task) => readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'))
      .reduce(
        (sum, text) =>
          sum + field(text, 'voluntary_ctxt_switches') + field(text, 'nonvoluntary_ctxt_switches'),
        0,
      ),
    machineSwitches: Number(/^ctxt (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))![1]),
    rssMiB: field(status, 'VmRSS') / 1024,
  };
}

function field(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? NaN);
}

/** Per second between two of one process. */
export interface Rates {
  /** Cores that the process kept busy. */
  readonly cores: number;
  readonly switches: number;
  readonly machineSwitches: number;
}

export function rates(from: Usage, to: Usage): Rates {
  const seconds = (to.ms - from.ms) / 1000;
  return {
    cores: (to.cpuNs - from.cpuNs) / 1e9 / seconds,
    switches: (to.switches - from.switches) / seconds,
    machineSwitches: (to.machineSwitches - from.machineSwitches) / seconds,
  };
}
