// SPDX-License-Identifier: Apache-2.0
// Digest's arithmetic (RFC 7616 3.4, RFC 2617 3.2.2, RFC 2069 2.1.2): responses, and comparing them.

import { createHash, timingSafeEqual } from 'node:crypto';

import type { DigestCredentials } from './authentication.js';

/** Strongest first: that is the one to answer where a server offers several. */
const HASHES = { 'SHA-512-256': 'sha512-256', 'SHA-256': 'sha256', MD5: 'md5' } as const;
type Hash = keyof typeof HASHES;
export type DigestAlgorithm = Hash | `${Hash}-sess`;
const STRENGTH = Object.keys(HASHES).flatMap((hash) => [`${hash}-sess`, hash]) as DigestAlgorithm[];

/** MD5 where none is named (RFC 7616 3.3); compared without case. Undefined: not known here. */
export function readAlgorithm(text = 'MD5'): DigestAlgorithm | undefined {
  return STRENGTH.find((name) => name.toLowerCase() === text.toLowerCase());
}

/** 0 is the strongest. */
export function strengthOf(algorithm: DigestAlgorithm): number {
  return STRENGTH.indexOf(algorithm);
}

/** A name or password as it goes into a header and a hash: UTF-8 (charset="UTF-8" of both RFCs), one character a byte. */
export function headerText(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** H(username:realm:password), lower-case hexadecimal: what a server may store instead of the password (RFC 7616 3.4.2). */
export function digestSecret(
  algorithm: DigestAlgorithm,
  who: { readonly username: string; readonly realm: string; readonly password: string },
): string {
  return hash(algorithm, `${who.username}:${who.realm}:${who.password}`);
}

/** The `response` of credentials (RFC 7616 3.4.1). `secret` is digestSecret()'s. */
export function digestResponse(
  { algorithm, nonce, uri, use }: Omit<DigestCredentials, 'response'>,
  secret: string,
  method: string,
): string {
  const isSession = algorithm.endsWith('-sess');
  const a1 = isSession ? hash(algorithm, `${secret}:${nonce}:${use?.cnonce ?? ''}`) : secret;
  const a2 = hash(algorithm, `${method}:${uri}`);
  const middle = use ? `${nonce}:${countText(use.count)}:${use.cnonce}:auth` : nonce;
  return hash(algorithm, `${a1}:${middle}:${a2}`);
}

/** Whether the response is the one that the secret gives: in the same time whatever is wrong with it. */
export function isDigestRight(credentials: DigestCredentials, secret: string, method: string): boolean {
  return isSameSecret(credentials.response, digestResponse(credentials, secret, method));
}

/** Compares in a time that tells nothing of where they differ, nor of their lengths. */
export function isSameSecret(given: string, wanted: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text, 'latin1').digest();
  return timingSafeEqual(digest(given), digest(wanted));
}

function hash(algorithm: DigestAlgorithm, text: string): string {
  const name = HASHES[algorithm.replace(/-sess$/, '') as Hash];
  return createHash(name).update(text, 'latin1').digest('hex');
}

/** nc, as it is written and hashed. */
export function countText(count: number): string {
  return count.toString(16).padStart(8, '0');
}
