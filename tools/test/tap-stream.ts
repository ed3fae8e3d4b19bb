// SPDX-License-Identifier: Apache-2.0
// Reads the TAP that one test file writes and keeps what a person wants to know of it. One test is one top-level
// point of the file (a t.test() there, or a bare assertion); a skip counts at whatever depth it stands.

import { Parser, type FinalResults, type Result } from 'tap-parser';

export interface Failure {
  /** Names from the top-level test down, joined by ` > `. */
  readonly name: string;
  /** What tap says about it: difference, place, stack. */
  readonly diagnosis: unknown;
}

export interface Skip {
  readonly name: string;
  readonly reason: string;
}

export interface TapResult {
  readonly passed: number;
  readonly failed: number;
  /** The innermost failing points: more than `failed` when one test fails at several places. */
  readonly failures: readonly Failure[];
  readonly skips: readonly Skip[];
}

export class TapStream {
  #passed = 0;
  #failed = 0;
  readonly #failures: Failure[] = [];
  readonly #skips: Skip[] = [];
  readonly #parser: Parser;
  readonly #results: Promise<FinalResults>;

  constructor() {
    let done: (results: FinalResults) => void;
    this.#results = new Promise((resolve) => (done = resolve));
    this.#parser = new Parser((results) => done(results));
    this.#follow(this.#parser, []);
  }

  write(chunk: Buffer): void {
    this.#parser.write(chunk);
  }

  /** The stream is over. A broken plan counts as a failure of its own when no test failed. */
  async end(): Promise<TapResult> {
    this.#parser.end();
    const { plan, failures } = await this.#results;
    if (plan.skipAll && plan.skipReason !== 'no tests found')
      this.#skips.push({ name: 'whole file', reason: plan.skipReason });
    for (const failure of this.#failed === 0 ? failures : []) {
      this.#failed++;
      this.#failures.push({ name: 'test plan', diagnosis: failure.tapError });
    }
    return { passed: this.#passed, failed: this.#failed, failures: this.#failures, skips: this.#skips };
  }

  #follow(parser: Parser, path: readonly string[]): void {
    let failuresBefore = this.#failures.length;
    parser.on('child', (child: Parser) => {
      failuresBefore = this.#failures.length;
      this.#follow(child, [...path, child.name]);
    });
    parser.on('assert', (result: Result) => {
      const name = [...path, result.name].join(' > ');
      if (result.skip !== false)
        this.#skips.push({ name, reason: typeof result.skip === 'string' ? result.skip : 'no reason given' });
      else if (path.length === 0 && result.ok) this.#passed++;
      if (result.ok) return;
      if (path.length === 0) this.#failed++;
      const toldInside = result.closingTestPoint && this.#failures.length > failuresBefore;
      if (!toldInside) this.#failures.push({ name, diagnosis: result.tapError ?? result.diag });
    });
  }
}
