// SPDX-License-Identifier: Apache-2.0
// What every command of proxyctl has in common: the socket, the terminal, --json.

import type { Command } from 'commander';
import { ask } from './api-client.js';

export { ProxyctlError } from './api-client.js';

export interface Context {
  get<Answer>(path: string): Promise<Answer>;
  post<Answer>(path: string): Promise<Answer>;
  print(text: string): void;
  /** Of the terminal, characters; Infinity when the output goes elsewhere, and nobody says how wide that is. */
  readonly width: number;
  /** Milliseconds since 1970. */
  now(): number;
}

/** A command adds itself to the program; `context` is good from the time on when it runs. */
export type Register = (program: Command, context: () => Context) => void;

export function createContext(socketPath: string): Context {
  return {
    get: (path) => ask(socketPath, 'GET', path),
    post: (path) => ask(socketPath, 'POST', path),
    print: (text) => process.stdout.write(`${text}\n`),
    width: outputWidth(process.stdout.columns, process.env['COLUMNS']),
    now: () => Date.now(),
  };
}

/** `COLUMNS` is how watch(1) and the like tell whom they run how wide the terminal is that they write to. */
export function outputWidth(terminal: number | undefined, columns: string | undefined): number {
  return terminal || (/^[1-9]\d{0,4}$/.test(columns ?? '') ? Number(columns) : Infinity);
}

/** Prints `answer` as JSON where that was asked for, else as text. */
export function show<Answer>(
  context: Context,
  options: { readonly json?: true },
  answer: Answer,
  text: (answer: Answer) => string,
): void {
  context.print(options.json ? JSON.stringify(answer, undefined, 2) : text(answer));
}
