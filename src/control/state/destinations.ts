// SPDX-License-Identifier: Apache-2.0
// The UDP ports that viewers have asked media to, so that no port of a viewer gets more than one stream: ten thousand
// sessions to one port would be an attack on it, and its receiver reports could not be told apart.

import { ChurnMap } from './churn.js';

export class Destinations<T> {
  readonly #owners = new ChurnMap<string, T>();

  get size(): number {
    return this.#owners.size;
  }

  /** Takes both ports for `owner`, or none of them and answers false: another one has one of them. */
  claim(address: string, ports: readonly [rtp: number, rtcp: number], owner: T): boolean {
    const keys = ports.map((port) => key(address, port));
    if (keys.some((k) => this.#owners.has(k))) return false;
    for (const k of keys) this.#owners.set(k, owner);
    return true;
  }

  release(address: string, ports: readonly [rtp: number, rtcp: number]): void {
    for (const port of ports) this.#owners.delete(key(address, port));
  }

  /** Whose port it is. */
  owner(address: string, port: number): T | undefined {
    return this.#owners.get(key(address, port));
  }
}

const key = (address: string, port: number): string => `${address}:${port}`;
