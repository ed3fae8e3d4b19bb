// SPDX-License-Identifier: Apache-2.0
// The viewers' sessions by their RTSP identifier (RFC 2326 3.4, 12.37) and by the small number that people use.

import { holderOf } from './address.js';
import { ChurnMap } from './churn.js';
import { Holders } from './tally.js';

interface Numbered {
  /** RTSP session identifier: 16 hexadecimal digits that cannot be guessed. */
  readonly id: string;
  readonly number: number;
  /** The viewer's. */
  readonly address: string;
}

export interface Most {
  readonly inAll: number;
  readonly perAddress: number;
}

const ID_BYTES = 8;

export class SessionTable<S extends Numbered> {
  readonly #byId = new ChurnMap<string, S>();
  readonly #byNumber = new ChurnMap<number, S>();
  readonly #perAddress: Holders;
  readonly #limit: number;
  readonly #random: (bytes: number) => Buffer;
  #last = 0;

  /** `random` must be cryptographic: who knows an identifier can end the session. */
  constructor({ inAll, perAddress }: Most, random: (bytes: number) => Buffer) {
    this.#limit = inAll;
    this.#perAddress = new Holders(perAddress);
    this.#random = random;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Why there is no room for one more of that address. */
  full(address: string): 'in all' | 'of the address' | undefined {
    if (this.#byId.size >= this.#limit) return 'in all';
    return this.#perAddress.isFull(holderOf(address)) ? 'of the address' : undefined;
  }

  /** There is room: see full(). */
  open(make: (id: string, number: number) => S): S {
    const session = make(this.newId(), this.newNumber());
    this.#enter(session);
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
    this.#enter(session);
  }

  #enter(session: S): void {
    this.#byId.set(session.id, session);
    this.#byNumber.set(session.number, session);
    this.#perAddress.enter(holderOf(session.address));
  }

  get(id: string): S | undefined {
    return this.#byId.get(id);
  }

  numbered(number: number): S | undefined {
    return this.#byNumber.get(number);
  }

  remove(session: S): void {
    if (!this.#byId.delete(session.id)) return;
    this.#byNumber.delete(session.number);
    this.#perAddress.leave(holderOf(session.address));
  }

  /** A snapshot: sessions may be removed while it is walked. */
  all(): S[] {
    return [...this.#byId.values()];
  }
}
