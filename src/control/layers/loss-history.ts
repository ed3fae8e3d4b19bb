// SPDX-License-Identifier: Apache-2.0
// The loss of the last reports as one number: the newest half count fully, older ones less and less (the weights of
// RFC 5348 5.4, there of loss intervals).

const WEIGHTS = [1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2];

export class LossHistory {
  /** The newest first. */
  readonly #losses: number[] = [];

  /** 0 to 1. */
  add(loss: number): void {
    this.#losses.unshift(loss);
    this.#losses.length = Math.min(this.#losses.length, WEIGHTS.length);
  }

  /** 0 while there is nothing, and where the last two were not both lossy: a loss now and then is not the way's quality. */
  get mean(): number {
    if (!(this.#losses[0]! > 0 && this.#losses[1]! > 0)) return 0;
    let sum = 0;
    let weights = 0;
    for (const [i, loss] of this.#losses.entries()) {
      sum += WEIGHTS[i]! * loss;
      weights += WEIGHTS[i]!;
    }
    return weights === 0 ? 0 : sum / weights;
  }
}
