// SPDX-License-Identifier: Apache-2.0
// The engines that can be measured. A new one is a line here.
import type { Datapath, Log } from '../../src/control/path/ports.js';

export interface EngineOptions {
  /** Its name in the network namespace. */
  readonly port: number;
  /** Folder of the compiled kernel programs. */
  readonly objects: string;
  readonly log: Log;
}

/** Loaded only by the worker that opens one: the benchmark itself needs no libbpf. */
const OPEN = {
  tc: async (options: EngineOptions) =>
    (await import('../../src/control/kernel/tc.js')).TcDatapath.open(options),
  xdp: async (options: EngineOptions) =>
    (await import('../../src/control/kernel/tc.js')).TcDatapath.open({ ...options, xdp: 'must' }),
} satisfies Record<string, (options: EngineOptions) => Promise<Datapath>>;

export type EngineName = keyof typeof OPEN;
export const ENGINES = Object.keys(OPEN) as EngineName[];

export function openEngine(name: EngineName, options: EngineOptions): Promise<Datapath> {
  return OPEN[name](options);
}
