// SPDX-License-Identifier: Apache-2.0
// How busy the machine was during a run. A camera that has to wait for a core sends bursts, and those overflow queues: losses
// of a run with a late camera are the machine's.
import { cpus } from 'node:os';

export interface Busy {
  /** Of each core's time, 0 to 1. */
  readonly idle: readonly number[];
  /** By how much the camera sent late: the worst of each second, their median and the worst of all, milliseconds. */
  readonly cameraLateMs: { readonly median: number; readonly most: number };
}

export interface BusyMoment {
  readonly cores: readonly { readonly idle: number; readonly all: number }[];
  /** Second by second. */
  readonly lateMs: readonly number[];
}

/** `cameraOutput`: what it has printed, with --json. */
export function busyMoment(cameraOutput: string): BusyMoment {
  const cores = cpus().map(({ times }) => ({
    idle: times.idle,
    all: Object.values(times).reduce((a, b) => a + b, 0),
  }));
  const late = cameraOutput.matchAll(/^\{"event":"late",.*"ms":(\d+)\}$/gm);
  return { cores, lateMs: [...late].map(([, ms]) => Number(ms)) };
}

export function busyBetween(a: BusyMoment, b: BusyMoment): Busy {
  const idle = b.cores.map((core, i) => {
    const all = core.all - a.cores[i]!.all;
    return all <= 0 ? 1 : (core.idle - a.cores[i]!.idle) / all;
  });
  const late = b.lateMs.slice(a.lateMs.length).sort((x, y) => x - y);
  return { idle, cameraLateMs: { median: late[late.length >> 1] ?? 0, most: late.at(-1) ?? 0 } };
}
