// SPDX-License-Identifier: Apache-2.0
// Who may use a path: Basic and Digest (RFC 7616, 7617) against the users of the configuration, or a hook. Every request
// that names a path is checked, from wherever it comes; only OPTIONS is free (request.ts).

import {
  formatChallenge,
  parseCredentials,
  type Credentials,
  type DigestCredentials,
} from '../rtsp/authentication.js';
import { headerText, isDigestRight } from '../rtsp/digest.js';
import {
  isPasswordRight,
  nameClass,
  secretOf,
  type OfferedAlgorithm,
  type StoredPassword,
} from '../rtsp/stored-password.js';
import type { RtspUrl } from '../rtsp/url.js';
import { holderOf } from '../state/address.js';
import { Attempts } from '../state/attempts.js';
import { ConnectionProof } from './connection-proof.js';
import { nowMs, type Context } from './context.js';
import { questionOf, type Action, type Claim } from './hook-question.js';
import type { ViewerLink } from './ports.js';
import { Refusal } from './refusal.js';
import { viewerUrl } from './url-map.js';

/** What the configuration says about one path and one action. */
export interface AccessRule {
  readonly action: Action;
  readonly realm: string;
  /** By name, as in headers (headerText). Whoever is not among them is the hook's, if there is one. */
  readonly users: ReadonlyMap<string, StoredPassword>;
  /** URL. */
  readonly hook: string | undefined;
  /** What is offered; undefined: Digest as far as the passwords' forms allow it, and Basic where they allow nothing
   * else, or a hook wants the password, or the connection is encrypted. */
  readonly methods: ReadonlySet<'basic' | 'digest'> | undefined;
}

/** Strongest first; ffmpeg takes the last that it is offered, and knows MD5 only. */
const ALGORITHMS: readonly OfferedAlgorithm[] = ['SHA-256', 'MD5'];
/** User names fall into so many classes per address, each with attempts of its own. */
const NAME_CLASSES = 64;
const NOBODY: StoredPassword = { plain: 'nobody' };

type Needs = Pick<Context, 'clock' | 'random' | 'limits' | 'refused' | 'log' | 'askHook'>;

/** The one refusal that counts as an attempt. */
class WrongCredentials extends Refusal {}

/** Who has not said yet who it is; a login begins with that. */
export class Challenge extends Refusal {}
/** What such answers are counted as. */
export const CHALLENGED = 'authentication-challenged';

export class Authentication {
  readonly #context: Needs;
  readonly #proofs = new WeakMap<ViewerLink, ConnectionProof>();
  readonly #attempts: Attempts;
  readonly #salt: Buffer;

  constructor(context: Needs) {
    const { attempts: burst, attemptMs: intervalMs, attemptKeys: keys } = context.limits;
    this.#context = context;
    this.#attempts = new Attempts({ burst, intervalMs, keys });
    this.#salt = context.random(16);
  }

  /** Resolves when the rule lets it pass. @throws Refusal 401 with challenges, 400, 403, 503; RtspError 400 */
  async check(claim: Claim, rule: AccessRule): Promise<void> {
    const header = claim.request.headers.get('Authorization');
    if (header === undefined) return this.#withoutCredentials(claim, rule);
    const credentials = parseCredentials(header);
    const offered =
      credentials.scheme === 'Basic'
        ? offersBasic(rule, claim.link)
        : digestsOf(rule).some((algorithm) => algorithm === credentials.algorithm) &&
          credentials.realm === headerText(rule.realm);
    if (!offered) throw this.#challenge(claim, rule);
    if (credentials.scheme === 'Digest') checkUri(claim, credentials);

    const now = nowMs(this.#context.clock);
    const key = this.#keyOf(claim.link, credentials.username);
    const waitMs = this.#attempts.take(key, now);
    if (waitMs > 0) throw this.#tooMany(waitMs);
    let counts = false;
    try {
      await this.#verify(claim, rule, credentials);
    } catch (error) {
      counts = error instanceof WrongCredentials;
      throw error;
    } finally {
      if (!counts) this.#attempts.giveBack(key, now);
    }
  }

  async #verify(claim: Claim, rule: AccessRule, credentials: Credentials): Promise<void> {
    const stored = rule.users.get(credentials.username);
    if (!stored && rule.hook !== undefined) return this.#askHook(claim, rule, rule.hook, credentials);
    const isRight = isRightFor(stored ?? NOBODY, rule, credentials, claim.request.method);
    if (!stored || !isRight) throw this.#wrong(claim, rule, credentials.username);
    if (credentials.scheme === 'Digest') this.#checkFresh(claim, rule, credentials);
  }

  /** Whoever is right but late knows the password, and may try again. */
  #checkFresh(claim: Claim, rule: AccessRule, credentials: DigestCredentials): void {
    const { clock, limits, refused } = this.#context;
    const { link, request, established: mayBeOld } = claim;
    const proof = this.#proofOf(link);
    if (proof.isFresh(credentials, { request, mayBeOld }, nowMs(clock), limits.nonceMs)) return;
    refused.add('authentication-stale');
    throw this.#challenge(claim, rule, true);
  }

  async #withoutCredentials(claim: Claim, rule: AccessRule): Promise<void> {
    if (rule.hook === undefined) throw this.#challenge(claim, rule);
    return this.#askHook(claim, rule, rule.hook, undefined);
  }

  /** Freshness first: the hook hears of no replay. Once per connection, path, action and credentials. */
  async #askHook(
    claim: Claim,
    rule: AccessRule,
    hook: string,
    credentials: Credentials | undefined,
  ): Promise<void> {
    const { link, place } = claim;
    const { action } = rule;
    if (credentials?.scheme === 'Digest') this.#checkFresh(claim, rule, credentials);
    const proof = this.#proofOf(link);
    const secret = credentials?.scheme === 'Basic' ? credentials.password : '';
    const what = JSON.stringify([action, place, hook, credentials?.scheme, credentials?.username, secret]);
    if (proof.wasAllowed(what)) return;
    const verdict = await this.#context.askHook(hook, questionOf(claim, action, credentials));
    if (verdict === 'allowed') return proof.allow(what);
    if (verdict === 'unavailable') {
      this.#context.refused.add('authentication-hook-unavailable');
      throw new Refusal(503, 'the authentication hook does not answer');
    }
    if (credentials && verdict === 'unknown') throw this.#wrong(claim, rule, credentials.username);
    if (verdict === 'unknown') throw this.#challenge(claim, rule);
    throw new Refusal(403, 'the authentication hook does not allow it');
  }

  #wrong(claim: Claim, rule: AccessRule, username: string): Refusal {
    const { address } = claim.link.remote;
    this.#context.refused.add('authentication-wrong');
    this.#context.log.info({ address, user: username, path: claim.url.path }, 'wrong user name or password');
    return new WrongCredentials(401, 'wrong user name or password', {
      headers: this.#challenge(claim, rule).headers,
    });
  }

  #tooMany(waitMs: number): Refusal {
    this.#context.refused.add('authentication-too-many');
    return new Refusal(503, 'that user name was tried too often with wrong passwords from that address', {
      headers: [['Retry-After', String(Math.ceil(waitMs / 1000))]],
    });
  }

  #challenge({ link }: Claim, rule: AccessRule, stale = false): Challenge {
    const { clock, random, limits } = this.#context;
    const realm = headerText(rule.realm);
    const nonce = this.#proofOf(link).challenge(random, nowMs(clock), limits.nonceMs, stale);
    const challenges = digestsOf(rule).map((algorithm) =>
      formatChallenge({ scheme: 'Digest', realm, nonce, algorithm, qop: true, stale }),
    );
    if (offersBasic(rule, link)) challenges.push(formatChallenge({ scheme: 'Basic', realm }));
    return new Challenge(401, stale ? 'the nonce is too old' : 'the path is not for everybody', {
      headers: challenges.map((challenge) => ['WWW-Authenticate', challenge] as const),
    });
  }

  #proofOf(link: ViewerLink): ConnectionProof {
    const proof = this.#proofs.get(link) ?? new ConnectionProof();
    this.#proofs.set(link, proof);
    return proof;
  }

  /** Somebody who guesses one user's password behind an address locks out nobody else there, nor learns who is a user. */
  #keyOf(link: ViewerLink, username: string): string {
    return `${holderOf(link.remote.address)} ${nameClass(username, this.#salt, NAME_CLASSES)}`;
  }
}

function isRightFor(
  stored: StoredPassword,
  { realm }: AccessRule,
  credentials: Credentials,
  method: string,
): boolean {
  const who = { username: credentials.username, realm: headerText(realm) };
  if (credentials.scheme === 'Basic') return isPasswordRight(stored, who, credentials.password);
  const secret = secretOf(stored, credentials.algorithm as OfferedAlgorithm, who);
  return secret !== undefined && isDigestRight(credentials, secret, method);
}

function digestsOf({ users, hook, methods }: AccessRule): readonly OfferedAlgorithm[] {
  if (methods?.has('digest') === false) return [];
  if (hook !== undefined) return methods === undefined ? [] : ALGORITHMS;
  const stored = [...users.values()];
  return ALGORITHMS.filter((algorithm) =>
    stored.some(({ plain, secrets }) => plain !== undefined || secrets?.[algorithm] !== undefined),
  );
}

function offersBasic(rule: AccessRule, link: ViewerLink): boolean {
  if (rule.methods) return rule.methods.has('basic');
  return (
    link.secure ||
    rule.hook !== undefined ||
    [...rule.users.values()].some(({ sha256 }) => sha256 !== undefined)
  );
}

/**
 * What the response was made for must be what is asked for, or what that is a part of: live555 (VLC) and GStreamer put the
 * URL of the whole into all of their requests, the latter without scheme and host.
 */
function checkUri({ link, url, request }: Claim, { uri }: DigestCredentials): void {
  if (uri === request.uri || request.uri === '*') return;
  const whole = uri === '*' ? undefined : pathOf(viewerUrl(uri, link));
  const asked = pathOf(url);
  if (whole === undefined || !(asked === whole || asked.startsWith(`${whole}/`)))
    throw new Refusal(400, 'the credentials are for another URL');
}

/** Queries come and go: what the source does not need is not in the URLs that it is answered. */
function pathOf({ path }: RtspUrl): string {
  return path.replace(/\/$/, '');
}
