// SPDX-License-Identifier: Apache-2.0
// What one connection has been challenged with and has proved (RFC 7616): its nonce, how often that was used, and whom a
// hook has let in. A nonce is good on the connection that it was given to and nowhere else, so what is overheard cannot be
// replayed, and all of this is forgotten with the connection.

import type { DigestCredentials } from '../rtsp/authentication.js';
import type { Random } from './ports.js';

const NONCE_BYTES = 16;
/** Paths and users that a hook has let in, per connection. */
const MAX_ALLOWED = 64;

export class ConnectionProof {
  #nonce: string | undefined;
  #usedMs = 0;
  #count = 0;
  #last: object | undefined;
  readonly #allowed = new Set<string>();

  /** The nonce for a challenge: a new one where the last is too old, or `renew` says so. */
  challenge(random: Random, nowMs: number, lifeMs: number, renew: boolean): string {
    if (this.#nonce === undefined || renew || nowMs - this.#usedMs > lifeMs) {
      this.#nonce = random(NONCE_BYTES).toString('hex');
      this.#count = 0;
    }
    this.#usedMs = nowMs;
    return this.#nonce;
  }

  /**
   * Whether right credentials are fresh as well; if so, this use of the nonce is noted. Requests of a connection come in
   * order, so its count must grow each time (nc); who does not count (RFC 2069) is protected by the connection alone.
   * `mayBeOld`: the nonce may be one that has been forgotten.
   */
  isFresh(
    { nonce, use }: DigestCredentials,
    { request, mayBeOld }: { request: object; mayBeOld: boolean },
    nowMs: number,
    lifeMs: number,
  ): boolean {
    if (request === this.#last) return true; // one request may be looked at for several paths
    if (nonce === this.#nonce && nowMs - this.#usedMs <= lifeMs) {
      if (use && use.count <= this.#count) return false;
      this.#count = use?.count ?? this.#count;
      this.#usedMs = nowMs;
    } else if (!mayBeOld) return false;
    this.#last = request;
    return true;
  }

  wasAllowed(what: string): boolean {
    return this.#allowed.has(what);
  }

  allow(what: string): void {
    if (this.#allowed.size < MAX_ALLOWED) this.#allowed.add(what);
  }
}
