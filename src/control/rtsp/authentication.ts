// SPDX-License-Identifier: Apache-2.0
// Challenges and credentials as values: WWW-Authenticate and Authorization (RFC 7235), Basic (RFC 7617) and Digest
// (RFC 7616, and RFC 2617 and 2069 for older peers). Text is the header's: one character a byte (headerText() of digest.ts).

import { parametersOf, quoteText, schemesOf, splitScheme } from './authentication-parameters.js';
import {
  countText,
  digestResponse,
  digestSecret,
  readAlgorithm,
  strengthOf,
  type DigestAlgorithm,
} from './digest.js';
import { RtspError } from './errors.js';

export interface BasicChallenge {
  readonly scheme: 'Basic';
  readonly realm: string;
}

export interface DigestChallenge {
  readonly scheme: 'Digest';
  readonly realm: string;
  readonly nonce: string;
  readonly opaque?: string | undefined;
  readonly algorithm: DigestAlgorithm;
  /** Whether qop=auth is offered; without it credentials are those of RFC 2069. */
  readonly qop: boolean;
  /** The nonce of the credentials was too old, and nothing else was wrong with them. */
  readonly stale: boolean;
}

export type Challenge = BasicChallenge | DigestChallenge;

export interface BasicCredentials {
  readonly scheme: 'Basic';
  readonly username: string;
  readonly password: string;
}

export interface DigestCredentials {
  readonly scheme: 'Digest';
  readonly username: string;
  readonly realm: string;
  readonly nonce: string;
  readonly uri: string;
  readonly algorithm: DigestAlgorithm;
  readonly opaque?: string | undefined;
  /** qop=auth: how often the nonce has been used, this time included, and a value of the client's own. */
  readonly use?: { readonly count: number; readonly cnonce: string } | undefined;
  /** Lower-case hexadecimal. */
  readonly response: string;
}

export type Credentials = BasicCredentials | DigestCredentials;

const COUNT = /^[0-9a-f]{8}$/i;

/** The challenges of all WWW-Authenticate fields that can be answered, strongest first. Never throws: others are left out. */
export function parseChallenges(fields: readonly string[]): Challenge[] {
  const challenges = fields.flatMap((field) => schemesOf(field).flatMap(readChallenge));
  return challenges.sort((a, b) => rank(a) - rank(b));
}

export function formatChallenge(challenge: Challenge): string {
  const { realm } = challenge;
  if (challenge.scheme === 'Basic') return `Basic realm=${quoteText(realm)}, charset="UTF-8"`;
  const { nonce, opaque, algorithm, qop, stale } = challenge;
  const fields = [`realm=${quoteText(realm)}`, `nonce=${quoteText(nonce)}`];
  if (opaque !== undefined) fields.push(`opaque=${quoteText(opaque)}`);
  fields.push(`algorithm=${algorithm}`);
  if (qop) fields.push('qop="auth"');
  if (stale) fields.push('stale=true');
  return `Digest ${fields.join(', ')}`;
}

/** @throws RtspError 400 where it is none of Basic or Digest, or not complete. */
export function parseCredentials(value: string): Credentials {
  const [scheme, rest] = splitScheme(value.trim());
  if (scheme === 'basic') return parseBasic(rest);
  if (scheme !== 'digest') throw invalid('is neither Basic nor Digest');
  return parseDigest(parametersOf(rest));
}

export function formatCredentials(credentials: Credentials): string {
  if (credentials.scheme === 'Basic') {
    const { username, password } = credentials;
    return `Basic ${Buffer.from(`${username}:${password}`, 'latin1').toString('base64')}`;
  }
  const { username, realm, nonce, uri, response, algorithm, opaque, use } = credentials;
  const fields = Object.entries({ username, realm, nonce, uri, response }).map(
    ([name, text]) => `${name}=${quoteText(text)}`,
  );
  if (algorithm !== 'MD5') fields.push(`algorithm=${algorithm}`); // what RFC 2069 has, and old servers choke on more
  if (opaque !== undefined) fields.push(`opaque=${quoteText(opaque)}`);
  if (use) fields.push('qop=auth', `nc=${countText(use.count)}`, `cnonce=${quoteText(use.cnonce)}`);
  return `Digest ${fields.join(', ')}`;
}

/** What a client answers to a challenge. `count`: how often this nonce has been used, this time included. */
export function answerChallenge(
  challenge: Challenge,
  who: { readonly username: string; readonly password: string },
  { method, uri, count, cnonce }: { method: string; uri: string; count: number; cnonce: string },
): Credentials {
  const { username, password } = who;
  if (challenge.scheme === 'Basic') return { scheme: 'Basic', username, password };
  const { realm, nonce, algorithm, opaque, qop } = challenge;
  const needsClient = qop || algorithm.endsWith('-sess');
  const unsigned = {
    ...{ scheme: 'Digest' as const, username, realm, nonce, uri, algorithm, opaque },
    use: needsClient ? { count, cnonce } : undefined,
  };
  const secret = digestSecret(algorithm, { username, realm, password });
  return { ...unsigned, response: digestResponse(unsigned, secret, method) };
}

function rank(challenge: Challenge): number {
  return challenge.scheme === 'Basic' ? Infinity : strengthOf(challenge.algorithm);
}

function invalid(what: string): RtspError {
  return new RtspError(400, `The Authorization ${what}.`);
}

function parseBasic(token: string): BasicCredentials {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(token)) throw invalid('is not Basic and base64');
  const text = Buffer.from(token, 'base64').toString('latin1');
  const colon = text.indexOf(':');
  if (colon < 0) throw invalid('has no colon between user name and password');
  return { scheme: 'Basic', username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function parseDigest(fields: ReadonlyMap<string, string>): DigestCredentials {
  const need = (name: string) => {
    const value = fields.get(name);
    if (value === undefined) throw invalid(`has no ${name}`);
    return value;
  };
  const algorithm = readAlgorithm(fields.get('algorithm'));
  if (!algorithm) throw invalid('names an algorithm that is not known here');
  const qop = fields.get('qop')?.toLowerCase();
  if (qop !== undefined && qop !== 'auth') throw invalid('has another qop than auth');
  const use = qop === undefined ? undefined : { count: readCount(need('nc')), cnonce: need('cnonce') };
  if (!use && algorithm.endsWith('-sess')) throw invalid('has no qop, which its algorithm needs');
  return {
    ...{ scheme: 'Digest', username: need('username'), realm: need('realm'), nonce: need('nonce') },
    ...{ uri: need('uri'), algorithm, opaque: fields.get('opaque'), use },
    response: need('response').toLowerCase(),
  };
}

function readCount(text: string): number {
  const count = COUNT.test(text) ? parseInt(text, 16) : 0;
  if (count === 0) throw invalid('has an nc that is not eight hexadecimal digits above zero');
  return count;
}

function readChallenge([scheme, text]: readonly [string, string]): Challenge[] {
  const fields = parametersOf(text);
  const realm = fields.get('realm') ?? '';
  if (scheme === 'basic') return [{ scheme: 'Basic', realm }];
  const algorithm = readAlgorithm(fields.get('algorithm'));
  const nonce = fields.get('nonce');
  const qops =
    fields
      .get('qop')
      ?.toLowerCase()
      .split(/[\s,]+/)
      .filter(Boolean) ?? [];
  const qop = qops.includes('auth');
  if (scheme !== 'digest' || nonce === undefined || !algorithm || (qops.length > 0 && !qop)) return [];
  if (!qop && algorithm.endsWith('-sess')) return []; // its response is made with a cnonce, which only qop can carry
  const stale = fields.get('stale')?.toLowerCase() === 'true';
  return [{ scheme: 'Digest', realm, nonce, opaque: fields.get('opaque'), algorithm, qop, stale }];
}
