// SPDX-License-Identifier: Apache-2.0
// Kinds of values that a key of the configuration may have. Each reads one, or notes what is wrong with it.

import { parseAddressRange, type AddressRange } from '../state/address-range.js';
import type { Faults, Value } from './value.js';

/** `key`: what the value belongs to, for the sentence that says what is wrong. Undefined: a fault has been noted. */
export type Kind<T> = (value: Value, key: string, faults: Faults) => T | undefined;

/** `says`: behind "KEY must be ...". */
function scalar<T>(says: string, read: (value: unknown) => T | undefined): Kind<T> {
  return (value, key, faults) => {
    const found = value.kind === 'scalar' ? read(value.value) : undefined;
    return found ?? faults.add(value.line, `${key} must be ${says}`);
  };
}

export const flag = scalar('true or false', (value) => (typeof value === 'boolean' ? value : undefined));

export const text = scalar('a text', (value) => (typeof value === 'string' ? value : undefined));

export function choice<const T extends string>(...values: readonly T[]): Kind<T> {
  return scalar(`one of ${values.join(', ')}`, (value) => values.find((one) => one === value));
}

export function whole(least: number, most: number): Kind<number> {
  return scalar(`a whole number from ${least} to ${most}`, (value) =>
    Number.isInteger(value) && Number(value) >= least && Number(value) <= most ? Number(value) : undefined,
  );
}

/** Written `500ms`, `10s`, `5m`; read as milliseconds. */
export function duration(leastMs: number, mostMs: number): Kind<number> {
  return scalar(
    `a time such as 500ms, 10s or 5m, from ${timeText(leastMs)} to ${timeText(mostMs)}`,
    (value) => {
      const [, digits, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m)$/.exec(String(value)) ?? [];
      if (digits === undefined) return undefined;
      const ms = Math.round(Number(digits) * { ms: 1, s: 1000, m: 60_000 }[unit as 'ms' | 's' | 'm']);
      return ms >= leastMs && ms <= mostMs ? ms : undefined;
    },
  );
}

function timeText(ms: number): string {
  return ms % 60_000 === 0 && ms > 0 ? `${ms / 60_000}m` : ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

export const addressRange: Kind<AddressRange> = scalar(
  'an address such as 192.0.2.7 or a network such as 192.0.2.0/24 or 2001:db8::/32',
  (value) => (typeof value === 'string' ? parseAddressRange(value) : undefined),
);

/** At least one: with none nobody would be allowed, and "no limit" is said by leaving the key out. */
export function list<T>(of: Kind<T>): Kind<readonly T[]> {
  return (value, key, faults) => {
    if (value.kind !== 'list' || value.items.length === 0)
      return faults.add(value.line, `${key} must be a list of at least one`);
    const read = value.items.map((item) => of(item, `each of ${key}`, faults));
    return read.every((item) => item !== undefined) ? (read as T[]) : undefined;
  };
}
