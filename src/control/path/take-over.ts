// SPDX-License-Identifier: Apache-2.0
// Whether a publisher may take the place of one that is there.

import type { PathConfig } from '../config/path-config.js';
import type { ViewerLink } from './ports.js';
import type { Publication } from './publication.js';
import { Refusal } from './refusal.js';

/** @throws Refusal 455 */
export function checkTakeOver(
  { takeOver }: PathConfig,
  current: Publication | undefined,
  { remote }: ViewerLink,
): void {
  if (!current || current.closed || takeOver === 'always') return;
  if (takeOver === 'same-address' && current.link.remote.address === remote.address) return;
  throw new Refusal(455, 'somebody publishes there already');
}
