// SPDX-License-Identifier: Apache-2.0
// Our classifiers on devices' ingress. One place for all: a fixed priority, and the listen port as handle, so that proxies
// on one host stay apart and a killed one's are found again.
import { tcAttach, tcDetach, type TcPlace } from './libbpf.js';

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

  /** Attaches once per device, in the place of what a killed predecessor left there. Throws KernelError. */
  attach(device: { ifindex: number; name: string }, programFd: number): void {
    if (this.#attached.has(device.ifindex)) return;
    const place = placeOn(device.ifindex, this.#port);
    tcAttach(place, programFd);
    this.#attached.set(device.ifindex, device.name);
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
