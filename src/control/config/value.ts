// SPDX-License-Identifier: Apache-2.0
// What a configuration is made of, each part with the line that it stands on, and the faults that are found in it. All of
// them are gathered: whoever mends a file wants to know them together.

export type Scalar = string | number | boolean | null;

/** Lines count from 1. */
export type Value =
  | { readonly kind: 'scalar'; readonly line: number; readonly value: Scalar }
  | { readonly kind: 'list'; readonly line: number; readonly items: readonly Value[] }
  | { readonly kind: 'map'; readonly line: number; readonly entries: ReadonlyMap<string, Entry> };

export interface Entry {
  /** Of the key. */
  readonly line: number;
  readonly value: Value;
}

export interface Fault {
  readonly line: number;
  /** One sentence without a full stop, in the configuration's own terms. */
  readonly text: string;
}

export class Faults {
  readonly #found: Fault[] = [];
  readonly #said = new Set<string>();

  /** Returns undefined, so that a reader may say `return faults.add(...)`. */
  add(line: number, text: string): undefined {
    // A parser that is out of step may say the same again and again.
    if (!this.#said.has(`${line} ${text}`)) this.#found.push({ line, text });
    this.#said.add(`${line} ${text}`);
    return undefined;
  }

  /** In the order of the file. */
  get all(): readonly Fault[] {
    return [...this.#found].sort((a, b) => a.line - b.line);
  }
}
