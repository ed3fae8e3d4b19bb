// SPDX-License-Identifier: Apache-2.0
// A user's password as a configuration holds it, plain or hashed, and what can be checked with each form.

import { createHash } from 'node:crypto';

import { digestSecret, headerText, isSameSecret, type DigestAlgorithm } from './digest.js';

export type OfferedAlgorithm = Extract<DigestAlgorithm, 'MD5' | 'SHA-256'>;

export interface StoredPassword {
  readonly plain?: string | undefined;
  /** SHA-256 of the password, hexadecimal. Digest cannot be done with it. */
  readonly sha256?: string | undefined;
  /** H(username:realm:password), hexadecimal (RFC 7616 3.4.2). */
  readonly secrets?: Partial<Record<OfferedAlgorithm, string>> | undefined;
}

export interface Who {
  readonly username: string;
  readonly realm: string;
}

const HEX_BYTES = { MD5: 16, 'SHA-256': 32 } as const;

/**
 * `sha256:` with hexadecimal or base64; `ha1:` with H(name:realm:password), of MD5 or SHA-256 or both with a comma;
 * `plain:` with the password; anything else is the password.
 * @throws Error, one sentence that does not repeat the text
 */
export function parseStoredPassword(text: string): StoredPassword {
  const [, form, rest = ''] = /^(sha256|ha1|plain):(.*)$/s.exec(text) ?? [];
  if (form === 'sha256') return { sha256: readHash(rest) };
  if (form === 'ha1') return { secrets: readSecrets(rest) };
  const plain = form === 'plain' ? rest : text;
  if (plain === '') throw new Error('the password is empty');
  return { plain: headerText(plain) };
}

/** Basic (RFC 7617): the password is at hand. Takes the same time whatever is wrong with it. */
export function isPasswordRight(stored: StoredPassword, who: Who, password: string): boolean {
  const { plain, sha256, secrets } = stored;
  if (plain !== undefined) return isSameSecret(password, plain);
  if (sha256 !== undefined)
    return isSameSecret(createHash('sha256').update(password, 'latin1').digest('hex'), sha256);
  const [algorithm, secret] = Object.entries(secrets ?? {})[0] as [OfferedAlgorithm, string];
  return isSameSecret(digestSecret(algorithm, { ...who, password }), secret);
}

/** Digest: what the response is made with. Undefined: not with this form of the password. */
export function secretOf(
  { plain, secrets }: StoredPassword,
  algorithm: OfferedAlgorithm,
  who: Who,
): string | undefined {
  return plain === undefined ? secrets?.[algorithm] : digestSecret(algorithm, { ...who, password: plain });
}

/** Which of so many classes a name is in: nobody without the salt knows who shares it. */
export function nameClass(name: string, salt: Buffer, classes: number): number {
  return createHash('sha256').update(salt).update(name, 'latin1').digest().readUInt16BE(0) % classes;
}

function readHash(text: string): string {
  if (/^[\da-f]{64}$/i.test(text)) return text.toLowerCase();
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== 32 || !/^[A-Za-z0-9+/]{43}=?$/.test(text))
    throw new Error('behind sha256: there are neither 64 hexadecimal digits nor 32 bytes in base64');
  return bytes.toString('hex');
}

function readSecrets(text: string): Partial<Record<OfferedAlgorithm, string>> {
  const secrets: Partial<Record<OfferedAlgorithm, string>> = {};
  for (const part of text.split(',')) {
    const isHex = /^(?:[\da-f]{2})+$/i.test(part);
    const algorithm = (['MD5', 'SHA-256'] as const).find((name) => part.length === 2 * HEX_BYTES[name]);
    if (!isHex || !algorithm || secrets[algorithm])
      throw new Error(
        'behind ha1: there must be 32 hexadecimal digits (MD5), 64 (SHA-256), or both with a comma',
      );
    secrets[algorithm] = part.toLowerCase();
  }
  return secrets;
}
