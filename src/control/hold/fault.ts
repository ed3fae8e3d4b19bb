// SPDX-License-Identifier: Apache-2.0
// What a fault of this program means to the viewers of a process whose connections somebody holds.

import type { Manager } from './manager.js';

/** A process that lives shorter than this has not recovered. */
export const STABLE_MS = 10_000;

/**
 * True: the process ends as it is, and the next one goes on with what is held. False: it closes what it has, as nobody would
 * go on with it, or as what was handed over may be why it fails. The keeper finds out about that itself; systemd would start
 * us with it until it gives up.
 */
export function goesOnAfterFault(heldBy: Manager['name'] | undefined, livedMs: number): boolean {
  return heldBy === 'keeper' || (heldBy === 'systemd' && livedMs >= STABLE_MS);
}
