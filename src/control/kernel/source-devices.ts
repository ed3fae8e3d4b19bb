// SPDX-License-Identifier: Apache-2.0
// The devices that sources' packets come in on, and our classifier on them: where the route to a source says, and on all of
// them once packets were seen to come another way.
import type { Log, StreamSpec } from '../path/ports.js';
import { isMulticastGroup } from '../state/multicast-addresses.js';
import type { NextHops } from './next-hop.js';
import type { TcFilters } from './tc-filters.js';

/** Packets that are missed are missed by the hundred a second; devices are not looked for as often. */
const SEARCH_MS = 1000;

export class SourceDevices {
  readonly #hops: NextHops;
  readonly #filters: TcFilters;
  readonly #programFd: number;
  readonly #log: Log;
  #searchedMs = -Infinity;
  #closed = false;

  constructor(parts: { hops: NextHops; filters: TcFilters; programFd: number; log: Log }) {
    this.#hops = parts.hops;
    this.#filters = parts.filters;
    this.#programFd = parts.programFd;
    this.#log = parts.log;
  }

  /** Watches the device that packets of the source should come in on. Returns why the kernel cannot take them. Throws KernelError. */
  async expect(spec: StreamSpec): Promise<string | undefined> {
    const hop = await this.#hops.resolve(spec.source.address);
    if (this.#closed) return 'the engine has been closed';
    if (hop.to === 'nowhere') return hop.why;
    const isOwn = hop.to === 'local'; // then they come in over the loopback
    if (isOwn && isMulticastGroup(spec.localAddress)) return 'multicast of this host itself'; // without Ethernet headers
    this.#filters.attach(hop.link, this.#programFd);
    return undefined;
  }

  /**
   * Packets of a source come in, and our programs do not see them: watches all devices that are there by now. Returns the names
   * of those that were not watched before; undefined when it has just been done.
   */
  async watchAll(): Promise<string[] | undefined> {
    const now = performance.now();
    if (now - this.#searchedMs < SEARCH_MS) return undefined;
    this.#searchedMs = now;
    const devices = await this.#hops.devices().catch(() => undefined);
    if (!devices || this.#closed) return undefined;
    this.#filters.keep(devices.all);
    return devices.carriers.filter((device) => this.#attach(device)).map(({ name }) => name);
  }

  /** Nothing is attached any more, and all that was goes. */
  close(): void {
    this.#closed = true;
    this.#filters.close();
  }

  /** One that refuses, or goes at that moment, is not to keep the others from being watched. */
  #attach(device: { ifindex: number; name: string }): boolean {
    try {
      return this.#filters.attach(device, this.#programFd);
    } catch (error) {
      this.#log.warn({ device: device.name, err: error }, 'a device cannot be watched');
      return false;
    }
  }
}
