// SPDX-License-Identifier: Apache-2.0
// The viewers' sessions by their RTSP identifier (RFC 2326 3.4, 12.37) and by the small number that people use.

import { ChurnMap } from './churn.js';

interface Numbered {
  /** RTSP session identifier: 16 hexadecimal digits that cannot be guessed. */
  readonly id: string;
  readonly number: number;
}

const ID_BYTES = 8;

export class SessionTable<S extends Numbered> {
  readonly #byId = new ChurnMap<string, S>();
  readonly #byNumber = new ChurnMap<number, S>();
  readonly #limit: number;
  readonly #random: (bytes: number) => Buffer;
  #last = 0;

  /** `random` must be cryptographic: who knows an identifier can end the session. */
  constructor(limit: number, random: (bytes: number) => Buffer) {
    this.#limit = limit;
    this.#random = random;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** `undefined`: `limit` sessions exist already. */
  open(make: (id: string, number: number) => S): S | undefined {
    if (this.#byId.size >= this.#limit) return undefined;
    const session = make(this.newId(), this.newNumber());
    this.#byId.set(session.id, session);
    this.#byNumber.set(session.number, session);
    return session;
  }

  /** That no session has. */
  newId(): string {
    let id: string;
    do id = this.#random(ID_BYTES).toString('hex');
    while (this.#byId.has(id));
    return id;
  }

  /** That nobody had before. */
  newNumber(): number {
    return ++this.#last;
  }

  /** A session that has its identifier and number already. */
  restore(session: S): void {
    this.#last = Math.max(this.#last, session.number);
    this.#byId.set(session.id, session);
    this.#byNumber.set(session.number, session);
  }

  get(id: string): S | undefined {
    return this.#byId.get(id);
  }

  numbered(number: number): S | undefined {
    return this.#byNumber.get(number);
  }

  remove(session: S): void {
    this.#byId.delete(session.id);
    this.#byNumber.delete(session.number);
  }

  /** A snapshot: sessions may be removed while it is walked. */
  all(): S[] {
    return [...this.#byId.values()];
  }
}
