// SPDX-License-Identifier: Apache-2.0
// The sections, in the order in which they are measured and told. A new one is a file here and a line in this list.
import type { Section } from '../section.js';
import { bottleneck } from './bottleneck.js';
import { bystander } from './bystander.js';
import { cost } from './cost.js';
import { flatOut } from './flat-out.js';
import { latency } from './latency.js';
import { loss } from './loss.js';
import { membership } from './membership.js';

const LIST = [cost, flatOut, loss, bottleneck, latency, bystander, membership];

/** Each takes back only what it measured itself: the name says which. */
export const SECTIONS = LIST as readonly Section<unknown>[] as readonly Section<never>[];
