// SPDX-License-Identifier: Apache-2.0
// What can be said of a path. A new key is one line in FIELDS, and a row in docs/config.md; reading it, its default, its
// place in PathConfig and what a reload does with it follow from that line.

import type { AddressRange } from '../state/address-range.js';
import { POLICIES, type PolicyName } from '../layers/policy.js';
import { addressRange, choice, duration, flag, list, text, whole, type Kind } from './kinds.js';
import type { PathSource, SourceTemplate } from './source-template.js';
import { fingerprint, httpUrl, loginName, password, realm, user, type User } from './user-kinds.js';

export type AuthMethod = 'basic' | 'digest';

export const SOURCE_TRANSPORTS = ['auto', 'udp', 'tcp', 'http'] as const;
export type SourceTransport = (typeof SOURCE_TRANSPORTS)[number];

/** `never`: a second publisher is refused; `same-address`: it replaces the first if it comes from its address. */
export const TAKE_OVERS = ['never', 'same-address', 'always'] as const;
export type TakeOver = (typeof TAKE_OVERS)[number];

/** Of paths whose source is asked, of those among them where it shows a certificate, or of those that wait for a publisher. */
export type PathSort = 'pulled' | 'secured' | 'published';

interface Field<T> {
  readonly kind: Kind<T>;
  /** Where the key is not given. */
  readonly fallback: T;
  /** A reload with another value applies to the viewers that are there; otherwise they are ended. */
  readonly live: boolean;
  /** The only sort of paths that it says something about; undefined: both. */
  readonly only: PathSort | undefined;
}

function field<T>(
  kind: Kind<T>,
  fallback: T,
  { live = false, only }: { live?: boolean; only?: PathSort } = {},
): Field<T> {
  return { kind, fallback, live, only };
}

/** Only what has an effect stands here: a key that does nothing is refused as unknown. */
export const FIELDS = {
  /** Sessions of viewers. */
  maxViewers: field<number | undefined>(whole(1, 16_384), undefined, { live: true }),
  /** From where viewers may come; undefined: from anywhere. */
  viewers: field<readonly AddressRange[] | undefined>(list(addressRange), undefined, { live: true }),
  /** How media comes from the source. `auto`: by UDP, within the RTSP connection where that is refused or nothing arrives; `http`: within it, by RTSP over HTTP. */
  sourceTransport: field<SourceTransport>(choice(...SOURCE_TRANSPORTS), 'auto', { only: 'pulled' }),
  /** How long viewers of a live source that is lost are held while it is asked again, milliseconds; 0: they are not. */
  sourceHold: field<number>(duration(0, 3_600_000), 60_000, { live: true }),
  /** Sessions at a recorded source that are one viewer's, because it has paused or sought; 0: nobody can. */
  ownSessions: field<number>(whole(0, 1000), 8, { live: true, only: 'pulled' }),
  /** A recorded source is started anew for who comes so long after its newest start, milliseconds; 0: all join the first. */
  stagger: field<number>(duration(0, 3_600_000), 0, { live: true, only: 'pulled' }),
  /** Starts that go on at the same time. */
  staggerStarts: field<number>(whole(1, 256), 16, { live: true, only: 'pulled' }),
  /** With which the source is logged in to, where its URL does not say it; parse.ts puts them there. */
  sourceUser: field<string | undefined>(loginName, undefined, { only: 'pulled' }),
  sourcePassword: field<string | undefined>(password, undefined, { only: 'pulled' }),
  /** File of authorities (PEM) that may have signed the source's certificate; undefined: those that Node knows. */
  sourceCa: field<string | undefined>(text, undefined, { only: 'secured' }),
  /** SHA-256 of the certificate itself. */
  sourceFingerprint: field<string | undefined>(fingerprint, undefined, { only: 'secured' }),
  /** Connected to when somebody watches; false: from the start on, and again whenever it is lost. */
  onDemand: field<boolean>(flag, true, { live: true, only: 'pulled' }),
  /** From where a publisher may come; undefined: from anywhere. */
  publishers: field<readonly AddressRange[] | undefined>(list(addressRange), undefined, {
    ...{ live: true, only: 'published' },
  }),
  /** Who may publish; undefined: anybody, unless the hook says otherwise. */
  publishUsers: field<readonly User[] | undefined>(list(user), undefined, { live: true, only: 'published' }),
  /** What a second publisher may do. */
  takeOver: field<TakeOver>(choice(...TAKE_OVERS), 'same-address', { live: true, only: 'published' }),
  /** Who may watch; undefined: anybody, unless the hook says otherwise. */
  readUsers: field<readonly User[] | undefined>(list(user), undefined, { live: true }),
  /** URL that is asked about everybody who is not among the users. */
  authHook: field<string | undefined>(httpUrl, undefined, { live: true }),
  /** What viewers are offered; undefined: what path/authentication.ts finds best. */
  authMethods: field<readonly AuthMethod[] | undefined>(list(choice('basic', 'digest')), undefined, {
    live: true,
  }),
  /** Named to viewers, and part of what `ha1:` passwords are made of. */
  authRealm: field<string>(realm, 'rtsp-fanout', { live: true }),
  /** Who decides up to which layer of a layered stream a viewer gets packets. */
  layerPolicy: field<PolicyName>(choice(...POLICIES), 'aimd', { live: true }),
  /** Sequence numbers are closed up where packets are left out on purpose. */
  layerRewrite: field<boolean>(flag, true, { live: true }),
} as const;

type Fields = typeof FIELDS;
export type FieldName = keyof Fields;

/** All fields, each with its value or its default. */
export type PathSettings = { readonly [Name in FieldName]: Fields[Name]['fallback'] };

export interface PathConfig extends PathSettings {
  /** As the file names it, without a leading `/`; a pattern where there is a `*` in it. */
  readonly name: string;
  readonly source: PathSource;
  /** Asked in turn where the source is not there. */
  readonly fallbacks?: readonly SourceTemplate[];
}

export const DEFAULTS = Object.fromEntries(
  Object.entries(FIELDS).map(([name, { fallback }]) => [name, fallback]),
) as PathSettings;
