// SPDX-License-Identifier: Apache-2.0
// YAML 1.2 as values with their lines. Anchors and tags are refused: they are no use here, and what a small file can make
// of them has no bound.

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node, type Pair } from 'yaml';
import type { Entry, Faults, Scalar, Value } from './value.js';

/** What people trip over. */
const QUOTES: Readonly<Record<string, string>> = { BAD_ALIAS: ' (a name that begins with * needs quotes)' };

/** Undefined: the file is empty, or what is there is no YAML, of which the faults tell. */
export function readYaml(text: string, faults: Faults): Value | undefined {
  try {
    return read(text, faults);
  } catch (error) {
    if (error instanceof RangeError) return faults.add(1, 'it is nested too deeply'); // the parser recurses
    throw error;
  }
}

function read(text: string, faults: Faults): Value | undefined {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, strict: true });
  const reader = new Reader(counter, faults);
  for (const { pos, message, code } of [...document.errors, ...document.warnings])
    faults.add(reader.line(pos[0]), `this is no YAML: ${message}${QUOTES[code] ?? ''}`);
  return document.errors.length > 0 || !document.contents
    ? undefined
    : reader.read(document.contents as Node);
}

class Reader {
  readonly #counter: LineCounter;
  readonly #faults: Faults;

  constructor(counter: LineCounter, faults: Faults) {
    this.#counter = counter;
    this.#faults = faults;
  }

  line(offset: number): number {
    return Math.max(1, this.#counter.linePos(offset).line);
  }

  read(node: Node): Value | undefined {
    const line = this.line(node.range?.[0] ?? 0);
    if (isAlias(node))
      return this.#faults.add(line, 'a name that begins with * needs quotes; there are no aliases here');
    if (node.anchor !== undefined) return this.#faults.add(line, 'there are no anchors (&) here');
    if (isScalar(node)) return { kind: 'scalar', line, value: node.value as Scalar };
    if (isSeq(node)) {
      const items = node.items.flatMap((item) => this.read(item as Node) ?? []);
      return { kind: 'list', line, items };
    }
    if (isMap(node)) {
      const entries = node.items.flatMap((pair) => this.#entry(pair as Pair<Node, Node | null>, line));
      return { kind: 'map', line, entries: new Map(entries) };
    }
    return this.#faults.add(line, 'this is neither a value, nor a list, nor keys with values');
  }

  #entry({ key, value }: Pair<Node, Node | null>, around: number): [string, Entry][] {
    const line = key.range ? this.line(key.range[0]) : around;
    if (!isScalar(key)) {
      if (isAlias(key)) this.read(key);
      else this.#faults.add(line, 'a key must be a text');
      return [];
    }
    const read = value ? this.read(value) : ({ kind: 'scalar', line, value: null } as const);
    return read ? [[key.source ?? String(key.value), { line, value: read }]] : [];
  }
}
