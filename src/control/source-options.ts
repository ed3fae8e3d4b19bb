// SPDX-License-Identifier: Apache-2.0
// The command line's words about the source, all of them keys of a path, too: its URL with name and password, how media
// comes, how long viewers are held, how they get its layers.

import { InvalidArgumentError, Option, type Command } from 'commander';

import {
  DEFAULTS,
  SOURCE_TRANSPORTS,
  type PathSettings,
  type SourceTransport,
} from './config/path-config.js';
import { POLICIES, type PolicyName } from './layers/policy.js';
import { readFingerprint } from './config/user-kinds.js';
import { readAuthority } from './net/source-tls.js';
import { credentialsOf, parseRtspUrl, type RtspUrl } from './rtsp/url.js';

export const CREDENTIALS_HELP = `
rtsp://NAME:PASSWORD@SERVER/...: everybody on this host can read a program's arguments. What is not a letter or digit in
them is written as in any URL (%40 for @).
`;

/** Options that are keys of a path, too. */
const OF_PATHS: Readonly<Record<keyof SourceGiven, true>> = {
  sourceTransport: true,
  sourceHold: true,
  ownSessions: true,
  stagger: true,
  sourceCa: true,
  sourceFingerprint: true,
  layerPolicy: true,
  layerRewrite: true,
};
const LONGEST_SECONDS = 3600;
const MOST_OWN_SESSIONS = 1000;

/** As commander hands them over. */
export interface SourceGiven {
  readonly sourceTransport: SourceTransport;
  readonly sourceHold: number;
  readonly ownSessions: number;
  readonly stagger: number;
  readonly sourceCa?: string;
  readonly sourceFingerprint?: string;
  readonly layerPolicy: PolicyName;
  readonly layerRewrite: boolean;
}

export function addSourceOptions(program: Command): Command {
  const { sourceTransport, sourceHold, ownSessions, stagger, layerPolicy } = DEFAULTS;
  return program
    .addOption(
      new Option(
        '--source-transport <transport>',
        'how media comes; auto: by UDP, else within the RTSP connection; http: that, over HTTP',
      )
        .choices(SOURCE_TRANSPORTS)
        .default(sourceTransport),
    )
    .option(
      '--source-hold <seconds>',
      'how long viewers of a lost live source are held while it is asked again; 0: not at all',
      seconds,
      sourceHold / 1000,
    )
    .option(
      '--own-sessions <n>',
      "sessions at a recorded source for viewers who pause or seek, each one viewer's; 0: nobody can",
      ownSessionsCount,
      ownSessions,
    )
    .option(
      '--stagger <seconds>',
      'a recorded source is started anew for who comes so long after its newest start; 0: all join the first',
      seconds,
      stagger / 1000,
    )
    .option(
      '--source-ca <file>',
      'PEM, the authorities that may have signed the certificate of an rtsps:// source (default: those that Node knows)',
      authority,
    )
    .option(
      '--source-fingerprint <sha256>',
      'of the certificate itself, in hexadecimal; it may then be signed by anybody, for any name',
      fingerprint,
    )
    .addOption(
      new Option(
        '--layer-policy <policy>',
        'who decides how much of a layered stream a viewer gets (docs/layers.md); off: everybody gets all',
      )
        .choices(POLICIES)
        .default(layerPolicy),
    )
    .option(
      '--no-layer-rewrite',
      'leave sequence numbers as they are where packets are left out on purpose: viewers see loss',
    );
}

export function readSource(given: SourceGiven): Partial<PathSettings> {
  const { sourceTransport, ownSessions, sourceCa, sourceFingerprint, layerPolicy, layerRewrite } = given;
  return {
    ...{ sourceTransport, ownSessions, sourceCa, sourceFingerprint, layerPolicy, layerRewrite },
    sourceHold: given.sourceHold * 1000,
    stagger: given.stagger * 1000,
  };
}

function authority(file: string): string {
  try {
    readAuthority(file);
    return file;
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

export function fingerprint(text: string): string {
  const read = readFingerprint(text);
  if (read !== undefined) return read;
  throw new InvalidArgumentError('It is 64 hexadecimal digits, with or without colons.');
}

/** With --config the file says such things, of each path. */
export function refuseSourceOptions(program: Command): void {
  for (const option of program.options)
    if (option.attributeName() in OF_PATHS && program.getOptionValueSource(option.attributeName()) === 'cli')
      program.error(
        `'${option.long}' and --config exclude each other: it is a key of a path (docs/config.md)`,
      );
}

/** Of a source that shows no certificate. */
export function refuseTrustOptions(program: Command, { sourceCa, sourceFingerprint }: SourceGiven): void {
  const trust = { '--source-ca': sourceCa, '--source-fingerprint': sourceFingerprint };
  for (const [name, value] of Object.entries(trust))
    if (value !== undefined) program.error(`'${name}' is for a source that is rtsps://`);
}

export function sourceUrl(text: string): RtspUrl {
  try {
    const url = parseRtspUrl(text);
    credentialsOf(url);
    if (url.scheme !== 'rtspu') return url;
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
  throw new InvalidArgumentError('Only rtsp:// and rtsps:// sources are supported.');
}

function seconds(text: string): number {
  const read = /^\d{1,4}$/.test(text) ? Number(text) : NaN;
  if (read <= LONGEST_SECONDS) return read;
  throw new InvalidArgumentError(`It is a number of whole seconds from 0 to ${LONGEST_SECONDS}.`);
}

function ownSessionsCount(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : NaN;
  if (count <= MOST_OWN_SESSIONS) return count;
  throw new InvalidArgumentError(`It is a whole number from 0 to ${MOST_OWN_SESSIONS}.`);
}
