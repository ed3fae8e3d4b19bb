// SPDX-License-Identifier: Apache-2.0
// Where this process begins to see a stream that the kernel has served so far: the packets of its picture cache first, then
// those that come up to the socket, each once and in order. The seam is found by sequence number, for tickets do not come up.
import { readRtpHeader } from '../rtp/header.js';
import type { CachedPacket } from './picture-cache.js';

/** The stream's picture cache (picture-cache.ts, kernel-state.ts). */
export interface SeamCache {
  tickets(): { readonly next: number; readonly begin: number | undefined };
  read(ticket: number): CachedPacket;
}

export class Seam {
  readonly #cache: SeamCache;
  /** The first ticket that has not been read; undefined: the seam is behind us, or there was nothing to read. */
  #ticket: number | undefined;
  /** Sequence number of the last packet that was read. */
  #last = 0;

  constructor(cache: SeamCache) {
    this.#cache = cache;
  }

  /** What is there since the beginning of a picture. To be called when packets come up already. */
  begin(): Buffer[] {
    this.#ticket = this.#cache.tickets().begin;
    return this.#readUntil();
  }

  /** A packet came up: what is to be taken now, in order; nothing where it has been read already. */
  take(packet: Buffer, sequence: number): Buffer[] {
    if (this.#ticket === undefined) return [packet];
    const before = this.#readUntil(sequence);
    // Ahead of what was read, or the very packet that the reading stopped at: from here on they come up.
    const ahead = (sequence - this.#last) << 16;
    if (this.#ticket !== undefined && ahead <= 0) return before;
    this.#ticket = undefined;
    return [...before, packet];
  }

  /** Reads to the newest, or to the packet of that sequence number, which is not taken. */
  #readUntil(sequence?: number): Buffer[] {
    const packets: Buffer[] = [];
    const { next } = this.#cache.tickets();
    while (this.#ticket !== undefined && this.#ticket !== next) {
      const cached = this.#cache.read(this.#ticket);
      if (cached.is === 'pending') return packets;
      if (cached.is === 'overwritten') {
        this.#ticket = undefined;
        return packets;
      }
      if (cached.is === 'packet') {
        const header = readRtpHeader(cached.bytes);
        if (header?.sequence === sequence) {
          this.#ticket = undefined;
          return packets;
        }
        packets.push(cached.bytes);
        if (header) this.#last = header.sequence;
      }
      this.#ticket = (this.#ticket + 1) >>> 0;
    }
    return packets;
  }
}
