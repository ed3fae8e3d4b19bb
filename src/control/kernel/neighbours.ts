// SPDX-License-Identifier: Apache-2.0
// The neighbours that copies are sent to, each asked for and followed once, however many viewers are behind it.
import type { Neighbour, RtnetlinkQuestions } from './rtnetlink-questions.js';

/** How long an address may take to be resolved (ARP, RFC 4861) before a viewer is served otherwise. */
const RESOLVE_MS = 1000;
/** Between two looks for an answer; twice as long each time, for hundreds may be waited for. */
const FIRST_POLL_MS = 10;
/** Changes come in bursts; one look after the burst is enough. */
const SETTLE_MS = 50;

interface Followed {
  neighbour: Neighbour;
  readonly users: Set<string>;
}

export class Neighbours {
  readonly #questions: RtnetlinkQuestions;
  readonly #onChange: (neighbour: Neighbour, users: Iterable<string>) => void;
  readonly #followed = new Map<string, Followed>();
  /** Being resolved, for whoever wants it meanwhile. */
  readonly #waking = new Map<string, Promise<Neighbour>>();
  /** Of these the kernel has said something else than is known here. */
  readonly #doubted = new Set<Followed>();
  #settling: NodeJS.Timeout | undefined;
  #closed = false;

  /** `onChange` is called when a followed one has another MAC, or answers no more, or again. */
  constructor(
    questions: RtnetlinkQuestions,
    onChange: (neighbour: Neighbour, users: Iterable<string>) => void,
  ) {
    this.#questions = questions;
    this.#onChange = onChange;
  }

  /** As it is known. Without a MAC: find() may bring one. */
  get(ifindex: number, address: string): Neighbour {
    const followed = this.#followed.get(keyOf({ ifindex, address }));
    if (followed?.neighbour.mac) return followed.neighbour;
    return { ifindex, address, mac: this.#questions.neighbour(ifindex, address) };
  }

  /** Wakes one whose MAC is not known, at most RESOLVE_MS. */
  find(neighbour: Neighbour): Promise<Neighbour> {
    const key = keyOf(neighbour);
    const under = this.#waking.get(key);
    if (under) return under;
    const waking = this.#wake(neighbour).finally(() => this.#waking.delete(key));
    this.#waking.set(key, waking);
    return waking;
  }

  /** Until leave(). Returns what it is by now. */
  follow(neighbour: Neighbour, user: string): Neighbour {
    const key = keyOf(neighbour);
    const followed = this.#followed.get(key) ?? { neighbour, users: new Set() };
    this.#followed.set(key, followed);
    if (neighbour.mac) this.#set(followed, neighbour);
    followed.users.add(user);
    return followed.neighbour;
  }

  leave(neighbour: Neighbour, user: string): void {
    const key = keyOf(neighbour);
    const followed = this.#followed.get(key);
    if (followed?.users.delete(user) && followed.users.size === 0) this.#followed.delete(key);
  }

  /** The kernel has said so. Mostly it only begins or ends to doubt the MAC that is known, not least because of use(). */
  heard(said: Neighbour): void {
    const followed = this.#followed.get(keyOf(said));
    if (!followed || isSame(followed.neighbour, said)) return;
    this.#doubted.add(followed);
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      const doubted = [...this.#doubted];
      this.#doubted.clear();
      for (const one of doubted) this.#lookAt(one);
    }, SETTLE_MS);
  }

  /** Copies do not pass the neighbour table: to be called now and then, or it takes its entries for unused. */
  use(): void {
    for (const { neighbour } of this.#followed.values())
      this.#questions.useNeighbour(neighbour.ifindex, neighbour.address);
  }

  /** Whatever has not been heard. */
  lookAgain(): void {
    for (const followed of [...this.#followed.values()]) this.#lookAt(followed);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#settling);
  }

  #lookAt(followed: Followed): void {
    const { ifindex, address } = followed.neighbour;
    const mac = this.#questions.neighbour(ifindex, address);
    if (mac) this.#set(followed, { ifindex, address, mac });
    else void this.find(followed.neighbour);
  }

  async #wake({ ifindex, address }: Neighbour): Promise<Neighbour> {
    this.#questions.useNeighbour(ifindex, address);
    let mac: Buffer | undefined;
    const until = performance.now() + RESOLVE_MS;
    for (let ms = FIRST_POLL_MS; !mac && !this.#closed; ms *= 2) {
      const left = until - performance.now();
      if (left <= 0) break;
      await new Promise((resolve) => setTimeout(resolve, Math.min(ms, left)));
      if (!this.#closed) mac = this.#questions.neighbour(ifindex, address);
    }
    const found = { ifindex, address, mac };
    const followed = this.#followed.get(keyOf(found));
    if (followed) this.#set(followed, found);
    return found;
  }

  #set(followed: Followed, now: Neighbour): void {
    const { neighbour } = followed;
    if (this.#closed || isSame(neighbour, now)) return;
    followed.neighbour = now;
    this.#onChange(now, followed.users);
  }
}

/** Routers' link-local addresses may be the same on every link. */
const keyOf = ({ ifindex, address }: Omit<Neighbour, 'mac'>) => `${address}%${ifindex}`;

const isSame = ({ mac: a }: Neighbour, { mac: b }: Neighbour) => (a && b ? a.equals(b) : a === b);
