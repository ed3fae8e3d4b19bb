// SPDX-License-Identifier: Apache-2.0
// Which state of a running proxy a program can go on with: two that print the same can take over from each other.
import { Global, Limit, Reception, Stream, Ticket, Version, Viewer } from '../kernel/abi.gen.js';
import { JOURNAL_VERSION } from './journal.js';

export function stateFormat(): string {
  const sizes = [Stream, Viewer, Ticket, Reception, Global].map(({ SIZE }) => SIZE);
  return `journal ${JOURNAL_VERSION} kernel ${Version.ABI_VERSION} ${[...sizes, Limit.MAX_STREAMS, Limit.MAX_PAGES].join(' ')}`;
}
