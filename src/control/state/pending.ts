// SPDX-License-Identifier: Apache-2.0
// Requests on one upstream connection that await their response. A response names no request but by its CSeq, and
// responses come in the order of the requests (RFC 2326 12.17 and 9.1): both are checked.
//
//      answered        sent, waiting       not sent yet
//   [ x | x | x | x | oldest | … | … | unsent | … | newest ]
//                     ^ #oldest        ^ #unsent           ^ length
//
// One array and two indexes: an answer moves #oldest on, sending moves #unsent on, and the answered part is cut off
// now and then. An entry that nobody waits for any longer (timed out) or that some servers never answer (keep-alive)
// may be passed over when a later one is answered; passing over any other entry is the server's fault. The answer may
// still come (slow cameras), and means nothing then.

export interface PendingRequest {
  readonly cseq: number;
  /** May stay without an answer for ever without blocking the later ones. */
  optional: boolean;
}

const CUT_AFTER = 64;
/** A server that answers later than after so many others does not answer. */
const MOST_PASSED = 64;

export class PendingRequests<R extends PendingRequest> {
  #queue: R[] = [];
  #oldest = 0;
  #unsent = 0;
  /** CSeq of those that were passed over last. */
  readonly #passed: number[] = [];
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Waiting for an answer or for being sent. */
  get size(): number {
    return this.#queue.length - this.#oldest;
  }

  /** False: `limit` requests wait already, this one was not queued. Before that, the oldest that may be passed over goes. */
  push(request: R): boolean {
    if (this.size >= this.#limit && this.#oldest < this.#unsent && this.#queue[this.#oldest]!.optional) {
      this.#passOver(this.#queue[this.#oldest++]!);
      this.#cut();
    }
    if (this.size >= this.#limit) return false;
    this.#queue.push(request);
    return true;
  }

  /** The next request to be sent, which from now on awaits its answer. */
  takeUnsent(): R | undefined {
    const request = this.#queue[this.#unsent];
    if (request) this.#unsent++;
    return request;
  }

  /**
   * The request that a response with this CSeq answers, taken off the queue with what may be passed over before it.
   * A response without CSeq (VLC's 401) is taken for the oldest's. `undefined`: it answers nothing that was asked
   * in this order, so that none of the later responses can be trusted either.
   */
  answer(cseq: number | undefined): R | undefined {
    for (let i = this.#oldest; i < this.#unsent; i++) {
      const request = this.#queue[i]!;
      if (cseq === undefined || request.cseq === cseq) {
        for (const passed of this.#queue.slice(this.#oldest, i)) this.#passOver(passed);
        this.#oldest = i + 1;
        this.#cut();
        return request;
      }
      if (!request.optional) return undefined;
    }
    return undefined;
  }

  /** Whether a response with this CSeq answers what was passed over. */
  isLate(cseq: number): boolean {
    return this.#passed.includes(cseq);
  }

  /** Takes everything that waits, oldest first: the connection is gone. */
  drain(): R[] {
    const waiting = this.#queue.slice(this.#oldest);
    this.#queue = [];
    this.#oldest = this.#unsent = 0;
    return waiting;
  }

  #passOver({ cseq }: R): void {
    this.#passed.push(cseq);
    if (this.#passed.length > MOST_PASSED) this.#passed.shift();
  }

  #cut(): void {
    if (this.#oldest < CUT_AFTER && this.#oldest < this.#queue.length) return;
    this.#queue.splice(0, this.#oldest);
    this.#unsent -= this.#oldest;
    this.#oldest = 0;
  }
}
