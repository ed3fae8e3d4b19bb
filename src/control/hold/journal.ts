// SPDX-License-Identifier: Apache-2.0
// What the next process must know of this one, in a file in memory that the descriptor store keeps: a line per change, key
// and JSON, the last line of a key counts. What a killed process has not finished writing is not read.
import { closeSync, fstatSync, readSync, writeSync } from 'node:fs';
import type { DescriptorStore } from './store.js';

/** Of the format and of the records' meaning. Another one is not read. */
export const JOURNAL_VERSION = 2;
const NAME = /^journal-(\d{1,9})$/;
const FIRST_LINE = `rtsp-fanout ${JOURNAL_VERSION}\n`;
/** A journal that has grown to more than twice what it says, and to more than this, is written anew. */
const LEAST_BYTES = 64 * 1024;
/** Far above 16 384 sessions of 1 KiB: what is larger is none of ours. */
const MOST_BYTES = 256 * 1024 * 1024;

export type Records = ReadonlyMap<string, unknown>;

/** Makes a file in memory, and returns its descriptor. */
export type CreateFile = (name: string) => number;

export interface FormerJournal {
  /** Its number; 0: there was none. */
  readonly number: number;
  /** Undefined: no journal, or one that cannot be read. */
  readonly records: Records | undefined;
}

/** What the former process noted last. It stays in the store until the next journal is there. */
export function readJournal(store: DescriptorStore): FormerJournal {
  const numbers = store.names().flatMap((name) => Number(NAME.exec(name)?.[1] ?? NaN) || []);
  const newest = Math.max(0, ...numbers);
  let records: Records | undefined;
  // Two are there when the process ended while it wrote anew: the newer one was whole before it was put there.
  for (const number of numbers) {
    const fd = store.take(`journal-${number}`)!;
    if (number === newest) records = parseJournal(readAll(fd));
    else store.remove(`journal-${number}`);
    closeSync(fd);
  }
  return { number: newest, records };
}

/** Undefined when the text is of another version, or damaged. A last line without its end is left out. */
export function parseJournal(text: string): Records | undefined {
  if (!text.startsWith(FIRST_LINE)) return undefined;
  const records = new Map<string, unknown>();
  const lines = text.slice(FIRST_LINE.length).split('\n');
  for (const line of lines.slice(0, -1)) {
    const at = line.indexOf(' ');
    const value = at < 0 ? undefined : parseValue(line.slice(at + 1));
    if (at < 0) records.delete(line);
    else if (value === undefined) return undefined;
    else records.set(line.slice(0, at), value);
  }
  return records;
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readAll(fd: number): string {
  const { size } = fstatSync(fd);
  const bytes = Buffer.alloc(Math.min(size, MOST_BYTES));
  let length = 0;
  for (let read = -1; read !== 0 && length < bytes.length; length += read)
    read = readSync(fd, bytes, length, bytes.length - length, length);
  return bytes.toString('utf8', 0, length);
}

export class Journal {
  readonly #store: DescriptorStore;
  readonly #create: CreateFile;
  readonly #lines = new Map<string, string>();
  #number: number;
  #fd: number;
  #bytes = 0;
  /** Bytes of `#lines`. */
  #live = 0;

  /** `create` makes a file in memory. Numbers go on above those that the store has. */
  constructor(store: DescriptorStore, create: CreateFile, former: number) {
    this.#store = store;
    this.#create = create;
    this.#number = former;
    this.#fd = -1;
  }

  /** Begins: the former journal goes. What has been put before is in it from its first moment on. */
  begin(): void {
    this.#writeAnew();
  }

  /** `key` has no blank. Written when this returns. */
  put(key: string, record: unknown): void {
    const line = `${key} ${JSON.stringify(record)}\n`;
    const before = this.#lines.get(key);
    if (before === line) return;
    this.#live += Buffer.byteLength(line) - Buffer.byteLength(before ?? '');
    this.#lines.set(key, line);
    this.#append(line);
  }

  remove(key: string): void {
    const before = this.#lines.get(key);
    if (before === undefined) return;
    this.#lines.delete(key);
    this.#live -= Buffer.byteLength(before);
    this.#append(`${key}\n`);
  }

  close(): void {
    if (this.#fd < 0) return;
    this.#store.remove(`journal-${this.#number}`);
    closeSync(this.#fd);
    this.#fd = -1;
  }

  #append(line: string): void {
    if (this.#fd < 0) return; // not begun
    this.#bytes += writeSync(this.#fd, line);
    if (this.#bytes > LEAST_BYTES && this.#bytes > 2 * this.#live) this.#writeAnew();
  }

  /** The new one is whole before the store has it, and there before the old one goes. */
  #writeAnew(): void {
    const old = { fd: this.#fd, number: this.#number };
    const name = `journal-${++this.#number}`;
    this.#fd = this.#create(name);
    this.#bytes = writeSync(this.#fd, FIRST_LINE + [...this.#lines.values()].join(''));
    this.#store.put(name, this.#fd);
    if (old.number > 0) this.#store.remove(`journal-${old.number}`);
    if (old.fd >= 0) closeSync(old.fd);
  }
}
