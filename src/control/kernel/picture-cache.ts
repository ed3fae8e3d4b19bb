// SPDX-License-Identifier: Apache-2.0
// The picture cache as user space sees it: which window of it a stream has, and the packets in it. The kernel program
// writes; nothing here is called unless a viewer joins.
import { Cached, Limit } from './abi.gen.js';
import { shareMap, type SharedMemory } from './shared-memory.js';

/** Windows are lent in units of this many packets. */
const UNIT = 256;

export interface CacheWindow {
  readonly first: number;
  /** Entries; 0: none. */
  readonly size: number;
}

export type NoPacket =
  /** That ticket was no RTP packet's. */
  | 'nothing'
  /** The kernel is about to write it. */
  | 'pending'
  /** A later packet has taken its place, or it was none that can be kept. */
  | 'overwritten';

export type CachedPacket = { readonly is: 'packet'; readonly bytes: Buffer } | { readonly is: NoPacket };

export class PictureCache {
  readonly #memory: SharedMemory;
  /** Which unit is lent. */
  readonly #lent: boolean[];
  readonly #room = Buffer.alloc(Limit.CACHED_BYTES);

  constructor(fd: number, entries: number) {
    this.#memory = shareMap(fd, Math.max(entries, 1) * Cached.SIZE);
    this.#lent = new Array<boolean>(Math.floor(entries / UNIT)).fill(false);
  }

  /** Lends a window of `entries` packets, rounded up to whole units; size 0 when there is no room. */
  lend(entries: number): CacheWindow {
    const units = Math.ceil(entries / UNIT);
    for (let first = 0; units > 0 && first + units <= this.#lent.length; first++) {
      if (this.#lent.slice(first, first + units).includes(true)) continue;
      this.#lent.fill(true, first, first + units);
      return { first: first * UNIT, size: units * UNIT };
    }
    return { first: 0, size: 0 };
  }

  /** A window that a stream has already, lent before our time. */
  take(window: CacheWindow): CacheWindow {
    this.#lent.fill(true, window.first / UNIT, (window.first + window.size) / UNIT);
    return window;
  }

  giveBack(window: CacheWindow): void {
    this.#lent.fill(false, window.first / UNIT, (window.first + window.size) / UNIT);
  }

  /** The packet that had that ticket. The bytes are a copy. */
  read(window: CacheWindow, ticket: number): CachedPacket {
    const length = this.copy(window, ticket, this.#room);
    if (typeof length === 'string') return { is: length };
    return { is: 'packet', bytes: Buffer.from(this.#room.subarray(0, length)) };
  }

  /**
   * Copies the packet that had that ticket to the beginning of `to`, which has room for Limit.CACHED_BYTES, and returns its
   * length, or why there is none: as read(), and leaves no garbage, for a viewer that joins may get hundreds of packets.
   */
  copy(window: CacheWindow, ticket: number, to: Uint8Array): number | NoPacket {
    const at = (window.first + ((ticket >>> 0) % window.size)) * Cached.SIZE;
    const { view } = this.#memory;
    const number = view.getUint32(at + Cached.number, true);
    const length = view.getUint32(at + Cached.length, true);
    const ahead = (number - ticket) | 0;
    if (ahead > 0) return 'overwritten';
    if (ahead < 0 || length === 0) return 'pending';
    if (length === Limit.CACHED_NOTHING) return 'nothing';
    if (length === Limit.CACHED_NOT_KEPT) return 'overwritten';
    to.set(new Uint8Array(view.buffer, view.byteOffset + at + Cached.packet, length));
    const unchanged =
      view.getUint32(at + Cached.number, true) === number &&
      view.getUint32(at + Cached.length, true) === length;
    return unchanged ? length : 'overwritten';
  }

  close(): void {
    this.#memory.close();
  }
}
