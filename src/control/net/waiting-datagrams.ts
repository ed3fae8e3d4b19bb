// SPDX-License-Identifier: Apache-2.0
// What came to an adopted socket while nobody could take it: handed on in order and spread over a second, for at once it
// would overflow the socket of a player, who reads no faster than it decodes. What comes meanwhile goes behind it.
import type { Endpoint } from '../path/ports.js';

/** More than a socket's receive buffer holds. */
const MOST = 4096;
const TICK_MS = 5;
const SPREAD_MS = 1000;
/** Packets a tick that any player can take. */
const LEAST = 4;

type Deliver = (packet: Buffer, from: Endpoint) => void;

export class WaitingDatagrams {
  #queue: [packet: Buffer, from: Endpoint][] = [];
  /** Since the last tick: as many more are handed on, so that any source is caught up with. */
  #arrived = 0;
  #timer: NodeJS.Timeout | undefined;

  push(packet: Buffer, from: Endpoint): void {
    if (this.#queue.length >= MOST) return;
    this.#queue.push([packet, from]);
    this.#arrived++;
  }

  /** The first ones at once, the others by and by. `done` is called when none is left; push() must not be called then. */
  drain(deliver: Deliver, done: () => void): void {
    const pace = Math.max(LEAST, Math.ceil((this.#queue.length * TICK_MS) / SPREAD_MS));
    const tick = (packets: number) => {
      this.#arrived = 0;
      for (const [packet, from] of this.#queue.splice(0, packets)) deliver(packet, from);
      if (this.#queue.length === 0) return done();
      this.#timer = setTimeout(() => tick(pace + this.#arrived), TICK_MS);
    };
    tick(pace);
  }

  /** Those that are left are given up. */
  close(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
  }
}
