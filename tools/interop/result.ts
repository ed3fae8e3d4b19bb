// SPDX-License-Identifier: Apache-2.0
// What cells have in common, and what comes of one.
import type { Authority } from '../../test/fixtures/tls.js';
import type { Clip } from './clip.js';

export interface Surroundings {
  readonly clip: Clip;
  readonly authority: Authority;
  /** PEM: a certificate for all addresses of the stage, with its key; and both apart. */
  readonly identity: { readonly both: string; readonly certificate: string; readonly key: string };
}

export type Result =
  /** `again`: only when it was tried a second time, alone. */
  | { readonly is: 'ok'; readonly again?: true }
  | { readonly is: 'failed'; readonly why: string }
  /** As the file says, and shown once more: `error` is what the peer said in front of somebody else. */
  | { readonly is: 'excluded'; readonly error: string }
  | { readonly is: 'not installed' };
