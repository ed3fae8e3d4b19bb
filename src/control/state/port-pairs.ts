// SPDX-License-Identifier: Apache-2.0
// Which pairs of adjacent UDP ports are ours at the moment: RTP even, RTCP the odd one above it (RFC 3550 11).

export interface PortRange {
  readonly first: number;
  /** Included. */
  readonly last: number;
}

/**
 * 5000 pairs, two for each of up to 2500 streams. Below net.ipv4.ip_local_port_range (32768 to 60999 by default), from
 * which the system hands out ports to whoever asks for any: a range within it would collide with strangers.
 */
export const DEFAULT_PORT_RANGE: PortRange = { first: 20000, last: 29999 };

export class PortsExhausted extends Error {
  constructor(range: PortRange) {
    super(`all UDP port pairs between ${range.first} and ${range.last} are in use`);
    this.name = 'PortsExhausted';
  }
}

/**
 * Walks upwards and starts again at the bottom, so that a pair that was given back is used again as late as possible:
 * what is still under way to its former owner then reaches nobody.
 */
export class PortPairs {
  readonly #range: PortRange;
  readonly #first: number;
  readonly #taken: Uint8Array;
  #next = 0;
  #free: number;

  /** Throws a RangeError when no pair fits between `first` and `last`. */
  constructor(range: PortRange = DEFAULT_PORT_RANGE) {
    const { first, last } = range;
    const valid = Number.isInteger(first) && Number.isInteger(last) && first >= 1 && last <= 65535;
    this.#first = first + (first % 2);
    const pairs = valid ? Math.floor((last + 1 - this.#first) / 2) : 0;
    if (pairs < 1) throw new RangeError(`no pair of UDP ports between ${first} and ${last}`);
    this.#range = range;
    this.#taken = new Uint8Array(pairs);
    this.#free = pairs;
  }

  get free(): number {
    return this.#free;
  }

  /** The even port of the next free pair. Throws PortsExhausted. */
  take(): number {
    if (this.#free === 0) throw new PortsExhausted(this.#range);
    while (this.#taken[this.#next]) this.#next = (this.#next + 1) % this.#taken.length;
    const index = this.#next;
    this.#taken[index] = 1;
    this.#free--;
    this.#next = (index + 1) % this.#taken.length;
    return this.#first + 2 * index;
  }

  /** Takes this pair, by its even port. False: it is taken, or not one of ours. */
  claim(rtpPort: number): boolean {
    const index = (rtpPort - this.#first) / 2;
    if (this.#taken[index] !== 0) return false;
    this.#taken[index] = 1;
    this.#free--;
    return true;
  }

  /** Gives a pair back by its even port. Throws a RangeError when it was not taken. */
  release(rtpPort: number): void {
    const index = (rtpPort - this.#first) / 2;
    if (this.#taken[index] !== 1) throw new RangeError(`port pair ${rtpPort} was not taken`);
    this.#taken[index] = 0;
    this.#free++;
  }
}
