// SPDX-License-Identifier: Apache-2.0
// How viewers begin with a picture, the same for all engines.

export interface PictureOptions {
  /** How long a viewer that came in the middle of a picture waits for the next one to begin, milliseconds; 0: not. */
  readonly holdMs: number;
  /** Packets since the last beginning of a picture that are kept per video stream; 0: none. */
  readonly cachePackets: number;
  /** Packets kept in all, at most 1.5 KiB each. The kernel engines take the memory at start. */
  readonly cacheTotalPackets: number;
}

/** 5 s covers the key frame distance of most cameras, 2048 packets 4 s of 5 Mbit/s; 48 MiB hold that for 16 streams. */
export const DEFAULT_PICTURES: PictureOptions = {
  holdMs: 5000,
  cachePackets: 2048,
  cacheTotalPackets: 32768,
};
