// SPDX-License-Identifier: Apache-2.0
// What was left out on purpose for one viewer that this process serves, and what that makes of sender reports.
import { recount } from '../rtcp/recount.js';
import { END_OCTETS } from '../rtp/picture-end.js';

export class ThinnedTally {
  packets = 0;
  /** UDP payload. */
  bytes = 0;
  /** Of what the source's reports count: RTP payload, less that of what stands in for ends of pictures; and the packets. */
  #octets = 0;
  #unreported = 0;

  /** A packet of so many bytes, `octets` of them RTP payload; `ended`: something stands in for it. */
  add(bytes: number, octets: number, ended: boolean): void {
    this.packets++;
    this.bytes += bytes;
    this.#octets += octets - (ended ? END_OCTETS : 0);
    this.#unreported += ended ? 0 : 1;
  }

  /** The source's reports count from here on: what was left out before is not among what they count. */
  countAnew(): void {
    this.#octets = this.#unreported = 0;
  }

  /** A compound of RTCP as this viewer is to see it. */
  report(compound: Buffer): Buffer {
    return recount(compound, this.#unreported, this.#octets);
  }
}
