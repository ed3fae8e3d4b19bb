// SPDX-License-Identifier: Apache-2.0
// Our classifiers on devices' ingress. One place for all: a fixed priority, and the listen port as handle, so that proxies
// on one host stay apart and a killed one's are found again.
import { tcAttach, tcDetach, tcQuery, type TcPlace } from './libbpf.js';

/** Anything else on the device comes before or after us by its own priority; ours is near the kernel's first choice. */
const PRIORITY = 0xbf00;

export function placeOn(ifindex: number, port: number): TcPlace {
  return { ifindex, priority: PRIORITY, handle: port };
}

export class TcFilters {
  readonly #port: number;
  readonly #attached = new Map<number, string>();

  constructor(port: number) {
    this.#port = port;
  }

  /** Names of the devices that carry our program. */
  get devices(): string[] {
    return [...this.#attached.values()];
  }

  /**
   * Attaches once per device, in the place of what a killed predecessor left there, and again where somebody has taken it away.
   * Returns false where it was there. Throws KernelError.
   */
  attach(device: { ifindex: number; name: string }, programFd: number): boolean {
    const place = placeOn(device.ifindex, this.#port);
    if (this.#attached.has(device.ifindex) && tcQuery(place) !== undefined) return false;
    tcAttach(place, programFd);
    this.#attached.set(device.ifindex, device.name);
    return true;
  }

  /** Those that are not among these are gone, and our program with them. */
  keep(devices: readonly { ifindex: number }[]): void {
    const there = new Set(devices.map(({ ifindex }) => ifindex));
    for (const ifindex of [...this.#attached.keys()]) if (!there.has(ifindex)) this.forget({ ifindex });
  }

  /** The device goes, and our program with it. */
  forget(device: { ifindex: number }): void {
    this.#attached.delete(device.ifindex);
  }

  close(): void {
    for (const ifindex of this.#attached.keys()) tcDetach(placeOn(ifindex, this.#port));
    this.#attached.clear();
  }
}
