// SPDX-License-Identifier: Apache-2.0
// When a layer may be tried again that was too much: each failure doubles the wait, as in receiver-driven layered multicast
// (McCanne, Jacobson, Vetterli 1996). Many viewers of one link so try in turn, and each tries more seldom.

/** Milliseconds. */
export const PROBE_WAIT = { least: 10_000, most: 80_000 } as const;

export class ProbeTimes {
  readonly #random: () => number;
  /** By layer; of those that have failed. */
  readonly #waits = new Map<number, number>();
  readonly #notBefore = new Map<number, number>();

  constructor(random: () => number) {
    this.#random = random;
  }

  /**
   * `share`: what the viewer would have with it, of the whole stream, 0 to 1. Who has more waits longer, with its square,
   * so that those below catch up.
   */
  failed(layer: number, nowMs: number, share: number): void {
    const wait = this.#waits.get(layer) ?? PROBE_WAIT.least;
    this.#waits.set(layer, Math.min(PROBE_WAIT.most, 2 * wait));
    this.#notBefore.set(layer, nowMs + wait * (2 * share) ** 2 * (0.5 + this.#random()));
  }

  succeeded(layer: number): void {
    this.#waits.delete(layer);
  }

  mayTry(layer: number, nowMs: number): boolean {
    return nowMs >= (this.#notBefore.get(layer) ?? -Infinity);
  }
}
