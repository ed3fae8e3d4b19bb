// SPDX-License-Identifier: Apache-2.0
// When a layer may be tried again that was too much: each failure doubles the wait, as in receiver-driven layered multicast
// (McCanne, Jacobson, Vetterli 1996). Many viewers of one link so try in turn, and each tries more seldom.

/** Milliseconds. */
export const PROBE_WAIT = {
  /** After a little loss: others may have caused it. */
  little: { least: 10_000, most: 80_000 },
  /** After heavy loss: the layer is more than the way carries, and who tries it damages its own pictures. */
  heavy: { least: 60_000, most: 480_000 },
} as const;

export class ProbeTimes {
  readonly #random: () => number;
  /** By layer; of those that have failed. */
  readonly #waits = new Map<number, number>();
  readonly #notBefore = new Map<number, number>();

  constructor(random: () => number) {
    this.#random = random;
  }

  /**
   * `share`: what the viewer would have with it, of what is typical. Who has more waits longer, so that those below catch up.
   */
  failed(layer: number, nowMs: number, share: number): void {
    const { least, most } = PROBE_WAIT.little;
    const wait = this.#waits.get(layer) ?? least;
    this.#waits.set(layer, Math.max(wait, Math.min(most, 2 * wait)));
    const factor = Math.min(4, Math.max(0.25, share ** 4));
    this.#notBefore.set(layer, nowMs + wait * factor * (0.5 + this.#random()));
  }

  /** As failed(), but with heavy loss. */
  failedBadly(layer: number, nowMs: number): void {
    const { least, most } = PROBE_WAIT.heavy;
    const wait = Math.max(least, this.#waits.get(layer) ?? 0);
    this.#waits.set(layer, Math.min(most, 2 * wait));
    this.#notBefore.set(layer, nowMs + wait * (0.75 + 0.25 * this.#random()));
  }

  /** The layers are more than the way carries. */
  tooMuch(layers: readonly number[], nowMs: number): void {
    const until = nowMs + PROBE_WAIT.heavy.least * (0.75 + 0.25 * this.#random());
    for (const layer of layers) this.#notBefore.set(layer, Math.max(until, this.#notBefore.get(layer) ?? 0));
  }

  succeeded(layer: number): void {
    this.#waits.delete(layer);
  }

  mayTry(layer: number, nowMs: number): boolean {
    return nowMs >= (this.#notBefore.get(layer) ?? -Infinity);
  }
}
