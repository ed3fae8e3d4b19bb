// SPDX-License-Identifier: Apache-2.0
// Map and Set for what comes and goes with viewers, hundreds a second. V8's own, once they are full of what was deleted, go on
// in a new table, and the old one keeps pointing to the new one. Where one of them has grown old, its collector for young
// garbage takes the whole chain for alive, with all that was ever in it: each viewer that has left is then copied twice and
// stays until the next full collection, which stops everybody for 10 ms. Here a table holds boxes, emptied when they are deleted.

interface Box<V> {
  value: V | undefined;
}

export class ChurnMap<K extends string | number, V> {
  readonly #boxes = new Map<K, Box<V>>();

  get size(): number {
    return this.#boxes.size;
  }

  has(key: K): boolean {
    return this.#boxes.has(key);
  }

  get(key: K): V | undefined {
    return this.#boxes.get(key)?.value;
  }

  set(key: K, value: V): this {
    const box = this.#boxes.get(key);
    if (box) box.value = value;
    else this.#boxes.set(key, { value });
    return this;
  }

  delete(key: K): boolean {
    const box = this.#boxes.get(key);
    if (box) box.value = undefined;
    return this.#boxes.delete(key);
  }

  clear(): void {
    for (const key of this.#boxes.keys()) this.delete(key);
  }

  keys(): IterableIterator<K> {
    return this.#boxes.keys();
  }

  /** As a Map's: in order of their coming, and what is deleted meanwhile is left out. */
  *values(): Generator<V, void, undefined> {
    for (const box of this.#boxes.values()) yield box.value as V;
  }
}

/** A place in a ring. One that has been left points to itself, so that nothing newer hangs on it. */
interface Place<T> {
  member: T | undefined;
  before: Place<T>;
  after: Place<T>;
}

function emptyRing<T>(): Place<T> {
  const place = { member: undefined } as Place<T>;
  place.before = place.after = place;
  return place;
}

export class ChurnSet<T extends object> {
  /** Between the last member and the first. */
  readonly #ends = emptyRing<T>();
  /** Whose tables make no chain. */
  readonly #places = new WeakMap<T, Place<T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(member: T): boolean {
    return this.#places.has(member);
  }

  add(member: T): this {
    if (this.has(member)) return this;
    const place: Place<T> = { member, before: this.#ends.before, after: this.#ends };
    place.before.after = place;
    this.#ends.before = place;
    this.#places.set(member, place);
    this.#size++;
    return this;
  }

  delete(member: T): boolean {
    const place = this.#places.get(member);
    if (!place) return false;
    place.before.after = place.after;
    place.after.before = place.before;
    place.before = place.after = place;
    place.member = undefined;
    this.#places.delete(member);
    this.#size--;
    return true;
  }

  clear(): void {
    for (const member of this) this.delete(member);
  }

  /** Those that are there now, in order of their coming; who is deleted meanwhile is left out. */
  *[Symbol.iterator](): Generator<T, void, undefined> {
    const places: Place<T>[] = [];
    for (let place = this.#ends.after; place !== this.#ends; place = place.after) places.push(place);
    for (const { member } of places) if (member !== undefined) yield member;
  }
}
