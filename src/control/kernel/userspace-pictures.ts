// SPDX-License-Identifier: Apache-2.0
// What the streams of the user-space engine share to let viewers begin with a picture: the packets that may be kept in
// all, and the one timer of those who join.
import type { StreamSpec, Timers } from '../path/ports.js';
import { Layering } from '../rtp/layering.js';
import { beginsPicture, tellsPictures } from '../rtp/picture.js';
import { Joins } from './joins.js';
import { DEFAULT_PICTURES, type PictureOptions } from './picture-options.js';
import { UserspaceCache } from './userspace-cache.js';

/** Of one stream. Where the encoding is unknown no picture ever begins, nobody is held back and nothing is kept. */
export interface StreamPictures {
  readonly cache: UserspaceCache;
  readonly joins: Joins;
  readonly layering: Layering;
  /** Name in SDP; empty: not known. */
  readonly encoding: string;
  /** Whether a decoder can begin with that packet. */
  begins(packet: Buffer): boolean;
  /** CLOCK_MONOTONIC, nanoseconds. */
  nowNs(): bigint;
  /** Until when a viewer that comes now is held back at most; undefined: it is not. */
  holdUntilNs(): bigint | undefined;
  /** The packets that may be kept are free for other streams. */
  close(): void;
}

export class UserspacePictures {
  readonly #options: PictureOptions;
  readonly #nowNs: () => bigint;
  readonly #joins: Joins;
  #free: number;

  constructor(
    options: PictureOptions = DEFAULT_PICTURES,
    nowNs: () => bigint = process.hrtime.bigint,
    every?: Timers['every'],
  ) {
    this.#options = options;
    this.#nowNs = nowNs;
    this.#joins = new Joins(every);
    this.#free = options.cacheTotalPackets;
  }

  open(encoding: StreamSpec['encoding']): StreamPictures {
    const { holdMs, cachePackets } = this.#options;
    const tells = tellsPictures(encoding);
    const holdNs = tells ? BigInt(Math.round(holdMs * 1e6)) : 0n;
    const size = tells && cachePackets <= this.#free ? cachePackets : 0;
    this.#free -= size;
    return {
      cache: new UserspaceCache(size),
      joins: this.#joins,
      layering: new Layering(encoding),
      encoding: encoding?.name ?? '',
      begins: (packet) => tells && beginsPicture(packet, encoding),
      nowNs: this.#nowNs,
      holdUntilNs: () => (holdNs > 0n ? this.#nowNs() + holdNs : undefined),
      close: () => {
        this.#free += size;
      },
    };
  }

  close(): void {
    this.#joins.close();
  }
}
