// SPDX-License-Identifier: Apache-2.0
// The sections of `make bench`, in the order in which they are measured and told.
import { ablation } from './ablation/section.js';
import { curves } from './curves/section.js';
import { peers } from './peers/section.js';
import { reference } from './reference/section.js';
import type { SuiteSection } from './section.js';

const LIST = [peers, reference, ablation, curves];

/** Each takes back only what it measured itself: the name says which. */
export const SUITE = LIST as readonly SuiteSection<unknown>[] as readonly SuiteSection<never>[];
