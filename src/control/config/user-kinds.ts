// SPDX-License-Identifier: Apache-2.0
// Values about who is who: users with their passwords, the URL of a hook, the fingerprint of a certificate.

import { headerText } from '../rtsp/digest.js';
import { parseStoredPassword, type StoredPassword } from '../rtsp/stored-password.js';
import type { Kind } from './kinds.js';
import type { Entry, Faults, Value } from './value.js';

export interface User {
  /** As in headers: UTF-8, one character a byte. */
  readonly name: string;
  readonly password: StoredPassword;
}

const KEYS = ['name', 'password'];

/** A map of `name` and `password`. */
export const user: Kind<User> = (value, key, faults) => {
  if (value.kind !== 'map') return faults.add(value.line, `${key} must have a name and a password`);
  for (const [given, { line }] of value.entries)
    if (!KEYS.includes(given)) faults.add(line, `${key} has a name and a password, and no ${given}`);
  const name = textOf(value, 'name', key, faults);
  const password = textOf(value, 'password', key, faults);
  if (name === undefined || password === undefined) return undefined;
  // RFC 7617 2, RFC 7616 3.4.2: a colon ends the name.
  if (name.text === '' || /[:\x00-\x1f\x7f]/.test(name.text))
    return faults.add(
      name.line,
      'a user name has at least one character, and neither colon nor control characters',
    );
  try {
    return { name: headerText(name.text), password: parseStoredPassword(password.text) };
  } catch (error) {
    return faults.add(password.line, (error as Error).message);
  }
};

function textOf(
  { entries, line }: Extract<Value, { kind: 'map' }>,
  name: string,
  key: string,
  faults: Faults,
): { text: string; line: number } | undefined {
  const entry: Entry | undefined = entries.get(name);
  if (!entry) return faults.add(line, `${key} must have a ${name}`);
  const { value } = entry;
  // A password of digits only is a number to YAML, which may have lost zeros at its beginning.
  if (value.kind !== 'scalar' || typeof value.value !== 'string')
    return faults.add(entry.line, `${name} must be a text; put it into quotes`);
  return { text: value.value, line: entry.line };
}

/** RFC 7617 2, RFC 7616 3.4.2. */
export const loginName: Kind<string> = (value, key, faults) =>
  readWord(value, /^[^:\x00-\x1f\x7f\p{Cs}]+$/u) ??
  faults.add(
    value.line,
    `${key} must be a text without colons and control characters, in quotes if it is a number`,
  );

export const password: Kind<string> = (value, key, faults) =>
  readWord(value, /^[^\x00-\x1f\x7f\p{Cs}]*$/u) ??
  faults.add(value.line, `${key} must be a text without control characters, in quotes if it is a number`);

/** It goes into a header, where nothing stands for a line end. */
export const realm: Kind<string> = password;

function readWord(value: Value, allowed: RegExp): string | undefined {
  const text = value.kind === 'scalar' ? value.value : undefined;
  return typeof text === 'string' && allowed.test(text) ? text : undefined;
}

export const httpUrl: Kind<string> = (value, key, faults) => {
  const text = value.kind === 'scalar' && typeof value.value === 'string' ? value.value : '';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return text;
  return faults.add(value.line, `${key} must be http:// or https:// with no user name in it`);
};

export const fingerprint: Kind<string> = (value, key, faults) =>
  (value.kind === 'scalar' ? readFingerprint(String(value.value)) : undefined) ??
  faults.add(value.line, `${key} must be the SHA-256 of a certificate, 64 hexadecimal digits`);

/** With or without colons; as openssl and Node write it. Undefined: it is none. */
export function readFingerprint(text: string): string | undefined {
  const digits = text.replaceAll(':', '').toUpperCase();
  return /^[\dA-F]{64}$/.test(digits) ? digits.match(/../g)!.join(':') : undefined;
}
