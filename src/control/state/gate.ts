// SPDX-License-Identifier: Apache-2.0
// Lets a few in at a time; the others wait in the order in which they came.

export interface Entry {
  /** Undefined: inside at once. It is resolved by leave() as well. */
  readonly admitted: Promise<void> | undefined;
  /** Makes room, or gives up waiting. More than once does nothing. */
  leave(): void;
}

export class Gate {
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #inside = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  enter(): Entry {
    if (this.#inside < this.#limit) {
      this.#inside++;
      return { admitted: undefined, leave: once(() => this.#left()) };
    }
    let admit = () => {};
    const admitted = new Promise<void>((resolve) => (admit = resolve));
    this.#waiting.add(admit);
    const leave = once(() => {
      if (!this.#waiting.delete(admit)) this.#left();
      admit();
    });
    return { admitted, leave };
  }

  /** Whoever has waited longest takes the place. */
  #left(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#inside--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

function once(run: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    run();
  };
}
