// SPDX-License-Identifier: Apache-2.0
// Which datapath: the kernel engine where it can be had, the user-space engine where not, and why. An engine that was
// asked for by name is had or refused, never replaced.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Datapath, Log } from '../path/ports.js';
import { missingCapabilities } from './capabilities.js';
import type { PictureOptions } from './picture-options.js';
import { UserspaceDatapath } from './userspace.js';

export const ENGINES_WANTED = ['auto', 'xdp', 'tc', 'userspace'] as const;
export type EngineWanted = (typeof ENGINES_WANTED)[number];

/** dist/bpf, seen from dist/src/control/kernel. */
const OBJECTS = fileURLToPath(new URL('../../../bpf', import.meta.url));

export interface Choice {
  readonly wanted: EngineWanted;
  /** The proxy's listen port: the kernel engine's name in this network namespace. */
  readonly port: number;
  readonly pictures: PictureOptions;
  /** How long the kernel goes on without this process. */
  readonly orphanLimitMs: number;
  /** Go on with what a killed process left in the kernel. */
  readonly takeOver: boolean;
  readonly log: Log;
}

/** Rejects only when `tc` or `xdp` is wanted and cannot be had; the message is one sentence for the command line. */
export async function chooseDatapath(choice: Choice): Promise<Datapath> {
  const { wanted, port, pictures, orphanLimitMs, takeOver, log } = choice;
  if (wanted === 'userspace') return new UserspaceDatapath({ why: 'it was asked for', pictures });
  const obstacle = obstacleToKernel();
  if (obstacle === undefined) {
    try {
      // Only here: without libbpf on this machine the module cannot be loaded.
      const { TcDatapath } = await import('./tc.js');
      const xdp = wanted === 'xdp' ? 'must' : wanted === 'auto' ? 'try' : 'never';
      return await TcDatapath.open({ port, objects: OBJECTS, pictures, xdp, orphanLimitMs, takeOver, log });
    } catch (error) {
      return without((error as Error).message, choice, error);
    }
  }
  return without(obstacle, choice);
}

/** @throws Error as chooseDatapath(), where that can be told without trying */
export function checkEngine(wanted: EngineWanted): void {
  const obstacle = obstacleToKernel();
  if (obstacle !== undefined && wanted !== 'userspace' && wanted !== 'auto') throw refusal(wanted, obstacle);
}

function without(obstacle: string, { wanted, pictures }: Choice, cause?: unknown): Datapath {
  if (wanted !== 'auto') throw refusal(wanted, obstacle, cause);
  return new UserspaceDatapath({ why: `no kernel engine: ${obstacle}`, pictures });
}

const refusal = (wanted: EngineWanted, obstacle: string, cause?: unknown) =>
  new Error(`--datapath ${wanted}: ${obstacle}`, { cause });

/** What can be told without trying. */
function obstacleToKernel(): string | undefined {
  const missing = missingCapabilities();
  if (missing.length > 0) return `this user is not root and lacks ${missing.join(' and ')}`;
  if (!existsSync(OBJECTS))
    return 'its programs were not built ("make build" needs clang and libbpf-dev for them)';
  return undefined;
}
