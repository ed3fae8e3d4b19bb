// SPDX-License-Identifier: Apache-2.0
// Our name and password towards a source: remembers its challenge, signs each request with it, and says whether a
// request that was refused (401) is worth asking again (RFC 7235 2.1, RFC 7616 3.3 and 3.6).

import {
  answerChallenge,
  formatCredentials,
  parseChallenges,
  type Challenge,
} from '../rtsp/authentication.js';
import type { RtspResponse } from '../rtsp/message.js';
import type { Random } from './ports.js';

/** Header text (headerText() of rtsp/digest.ts). Never logged, never shown. */
export interface SourceCredentials {
  readonly username: string;
  readonly password: string;
}

/** A request is signed anew at most so often: with the first challenge, and where its nonce has become stale. */
const MOST_TRIES = 2;
const MOST_USES = 0xffff_ffff;

export class SourceLogin {
  readonly #who: SourceCredentials | undefined;
  readonly #random: Random;
  #challenge: Challenge | undefined;
  /** How often the challenge's nonce has been used. */
  #uses = 0;

  constructor(who: SourceCredentials | undefined, random: Random) {
    this.#who = who;
    this.#random = random;
  }

  /** The Authorization of the next request; none until the source has asked for it. */
  sign(
    method: string,
    uri: string,
  ): { readonly challenge?: Challenge; readonly headers: [string, string][] } {
    const challenge = this.#challenge;
    if (!this.#who || !challenge || this.#uses >= MOST_USES) return { headers: [] };
    const cnonce = this.#random(12).toString('base64url');
    const credentials = answerChallenge(challenge, this.#who, { method, uri, count: ++this.#uses, cnonce });
    return { challenge, headers: [['Authorization', formatCredentials(credentials)]] };
  }

  /** Whether to ask again after this 401. `signed`: the challenge that the request answered; `tries`: how often before. */
  challenged(answer: RtspResponse, signed: Challenge | undefined, tries: number): boolean {
    const [challenge] = parseChallenges(answer.headers.getAll('WWW-Authenticate'));
    if (!this.#who || !challenge || tries >= MOST_TRIES) return false;
    const isNew = signed === undefined || isOlder(signed, challenge);
    // Requests that were sent together are refused together: the first of them has brought the nonce, its count goes on.
    if (isNew && !(this.#challenge && isSame(this.#challenge, challenge))) {
      this.#challenge = challenge;
      this.#uses = 0;
    }
    return isNew;
  }
}

/** Many servers take a nonce for too old without saying `stale`. A wrong password costs MOST_TRIES requests then. */
function isOlder(signed: Challenge, challenge: Challenge): boolean {
  if (signed.scheme === 'Basic' || challenge.scheme === 'Basic') return signed.scheme !== challenge.scheme;
  return challenge.stale || signed.nonce !== challenge.nonce;
}

function isSame(a: Challenge, b: Challenge): boolean {
  return a.scheme === 'Digest' && b.scheme === 'Digest' ? a.nonce === b.nonce : a.scheme === b.scheme;
}
