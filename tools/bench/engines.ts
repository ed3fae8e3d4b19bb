// SPDX-License-Identifier: Apache-2.0
// The engines that can be measured: those of the kernel, and the proxy's own copying to compare with. A new one is a line here.
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
  userspace: async () => new (await import('../../src/control/kernel/userspace.js')).UserspaceDatapath(),
} satisfies Record<string, (options: EngineOptions) => Promise<Datapath>>;

export type AnyEngine = keyof typeof OPEN;
/** Of the kernel. */
export const ENGINES = ['tc', 'xdp'] as const satisfies readonly AnyEngine[];
export type EngineName = (typeof ENGINES)[number];

export function openEngine(name: AnyEngine, options: EngineOptions): Promise<Datapath> {
  return OPEN[name](options);
}
