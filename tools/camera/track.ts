// SPDX-License-Identifier: Apache-2.0
// One m= section's packets as a function of an index that counts through all loops: nothing here has a clock.

export interface MediaPacket {
  /** Seconds from the start of the media to the moment it is sent. */
  readonly due: number;
  /** RTP timestamp units from the start of the media. */
  readonly timestamp: number;
  readonly marker: boolean;
  readonly payload: Buffer;
}

export interface TrackFormat {
  readonly media: 'video' | 'audio';
  readonly payloadType: number;
  readonly clockRate: number;
  /** SDP attribute lines of its own. */
  readonly attributes: readonly string[];
}

export class Track {
  readonly #packets: readonly MediaPacket[];
  readonly #seconds: number;
  readonly #once: boolean;

  /**
   * @param packets those of one loop, in the order of `due`
   * @param seconds length of one loop
   * @param once the media ends with its first loop
   */
  constructor(
    readonly format: TrackFormat,
    packets: readonly MediaPacket[],
    seconds: number,
    once: boolean,
  ) {
    this.#packets = packets;
    this.#seconds = seconds;
    this.#once = once;
  }

  /** Undefined behind the end. Time and timestamp go on from loop to loop. */
  packet(index: number): MediaPacket | undefined {
    const loop = Math.floor(index / this.#packets.length);
    const packet = this.#packets[index % this.#packets.length];
    if (!packet || (this.#once && loop > 0)) return undefined;
    return {
      ...packet,
      due: packet.due + loop * this.#seconds,
      timestamp: packet.timestamp + loop * Math.round(this.#seconds * this.format.clockRate),
    };
  }

  /** The first packet that is not due before `seconds`. */
  indexAt(seconds: number): number {
    const loop = Math.max(0, Math.floor(seconds / this.#seconds));
    const within = seconds - loop * this.#seconds;
    const found = this.#packets.findIndex(({ due }) => due >= within);
    return loop * this.#packets.length + (found < 0 ? this.#packets.length : found);
  }
}
