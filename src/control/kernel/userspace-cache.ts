// SPDX-License-Identifier: Apache-2.0
// The picture cache of the user-space engine: a stream's last packets, numbered in order of arrival, and where among them
// the last picture begins. The twin of bpf/cache.h: bounded by packets, each no larger than there.
import { Limit } from './abi.gen.js';

export class UserspaceCache {
  /** How many packets it holds; 0: none. */
  readonly size: number;
  #ring: (Buffer | undefined)[] = [];
  #next = 0;
  #begin: number | undefined;

  constructor(size: number) {
    this.size = size;
  }

  /** The number that the next packet will have. */
  get next(): number {
    return this.#next;
  }

  /** The packet that a viewer can begin with; all after it are here as well. Undefined: none. */
  get begin(): number | undefined {
    return this.#begin;
  }

  /** `begins`: a decoder can begin with it. The buffer is kept, not copied. */
  keep(packet: Buffer, begins: boolean): void {
    const number = this.#next++;
    if (this.size === 0) return;
    const fits = packet.length <= Limit.CACHED_BYTES;
    this.#ring[number % this.size] = fits ? packet : undefined;
    if (!fits) this.#begin = undefined;
    else if (begins && !this.#isOfPicture(packet)) this.#begin = number;
    else if (this.#begin !== undefined && number - this.#begin >= this.size) this.#begin = undefined;
  }

  /** It goes on with the picture that the cache begins with: parameter sets and the slices after them have one timestamp. */
  #isOfPicture(packet: Buffer): boolean {
    const begin = this.#begin === undefined ? undefined : this.read(this.#begin);
    return begin?.readUInt32BE(4) === packet.readUInt32BE(4);
  }

  /** The packet of that number; undefined: a later one has taken its place, or it was too large to be kept. */
  read(number: number): Buffer | undefined {
    return this.#next - number > this.size ? undefined : this.#ring[number % this.size];
  }

  /** Packets will go by unseen, so what is here leads nowhere. */
  forget(): void {
    this.#ring = [];
    this.#begin = undefined;
  }
}
