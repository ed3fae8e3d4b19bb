// SPDX-License-Identifier: Apache-2.0
// The log: pino's levels and fields, written on stderr as plain lines `TIME LEVEL message  field=value ...`.

import { pino, type Logger } from 'pino';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export function createLog(level: LogLevel): Logger {
  const lines = { write: (json: string) => void process.stderr.write(logLine(JSON.parse(json))) };
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, lines);
}

interface Entry {
  readonly level: number;
  readonly time: string;
  readonly msg?: string;
  readonly [field: string]: unknown;
}

/** One line with its line end. Values that came from the network cannot break out of it: they are quoted as JSON. */
export function logLine({ level, time, msg, ...fields }: Entry): string {
  const name = (pino.levels.labels[level] ?? String(level)).padEnd(5);
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${valueText(value)}`);
  return `${time} ${name} ${oneLine(msg ?? '')}${rest.length > 0 ? ' ' : ''}${rest.join('')}\n`;
}

function valueText(value: unknown): string {
  if (isError(value)) return oneLine(value.stack);
  if (typeof value === 'string' && /^[\w.:/@+[\]-]+$/.test(value)) return value;
  return oneLine(JSON.stringify(value) ?? 'undefined');
}

/** pino has already made a plain object of an Error. */
function isError(value: unknown): value is { readonly stack: string } {
  return value !== null && typeof value === 'object' && 'stack' in value && typeof value.stack === 'string';
}

function oneLine(text: string): string {
  return text.replace(/\n\s*/g, ' | ').replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
