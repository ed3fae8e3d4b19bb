// SPDX-License-Identifier: Apache-2.0
// A section of `make bench`: one of the benchmark's (../section.ts) that also says how long it takes. A new one is a file here and a
// line in sections.ts. Its engines in a Context are ours in the kernel; whom it may put in the proxy's place is in relays/all.ts,
// where it does so is a Stage (stage.ts), and who watches an Audience (audience.ts).
import type { Context, Section } from '../section.js';

export interface SuiteSection<R> extends Section<R> {
  /** About so long on two cores, for the progress display. */
  expectedSeconds(context: Context): number;
}
