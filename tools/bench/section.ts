// SPDX-License-Identifier: Apache-2.0
// A section of the benchmark: measures something, and tells it as Markdown from nothing but what it measured.
import type { EngineName } from './engines.js';
import type { Figure } from './plot.js';

export interface Context {
  /** Sections that are about one engine take the first. */
  readonly engines: readonly [EngineName, ...EngineName[]];
  /** Small and short: shows that everything works, figures mean nothing. */
  readonly quick: boolean;
  /** Of everything that is a ratio. */
  readonly repeats: number;
  /** That the viewers share: enough for a neighbour table to matter, too few for it to overflow. */
  readonly addresses: number;
  progress(text: string): void;
}

export interface Section<R> {
  readonly name: string;
  readonly title: string;
  measure(context: Context): Promise<R>;
  /** Paragraphs and tables. */
  render(result: R): string[];
  /** Drawn beside the document, which shows them where render() says (plot.ts's image()). */
  figures?(result: R): Figure[];
  /** Other files beside the document, with their endings: what another program said, unchanged. */
  files?(result: R): Readonly<Record<string, string>>;
}
