// SPDX-License-Identifier: Apache-2.0
// What the thesis measured (spec chapter 6), measured here: its stream, its numbers of viewers and on to the machine's limit, its
// link of 100 Mbit/s.
import { availableParallelism } from 'node:os';
import type { SuiteSection } from '../section.js';
import { Stage, THESIS } from '../stage.js';
import { measureCurve } from './curve.js';
import { referenceFigures } from './figures.js';
import { measureNarrow, measureVariants, type VariantReading } from './narrow.js';
import { measureNinety, type NinetyResult } from './ninety.js';
import type { Reading } from './reading.js';
import { renderReference } from './report.js';

export interface ReferenceResult {
  /** Each engine with more and more viewers; the last one is its limit, or the most that were tried. */
  readonly curve: readonly Reading[];
  readonly narrow: readonly Reading[];
  readonly variants: readonly VariantReading[];
  readonly ninety: NinetyResult;
  /** That the machine has. */
  readonly cores: number;
}

export const reference: SuiteSection<ReferenceResult> = {
  name: 'reference',
  title: 'What the thesis measured',
  expectedSeconds: ({ quick }) => (quick ? 20 : 290),
  async measure(context) {
    const stage = await Stage.build(context.addresses);
    const curve: Reading[] = [];
    const narrow: Reading[] = [];
    try {
      await stage.play(THESIS);
      const ninety = await measureNinety(stage, context);
      const engines = context.quick ? (['tc'] as const) : (['xdp', 'tc', 'userspace'] as const);
      for (const engine of engines) curve.push(...(await measureCurve(stage, engine, context)));
      for (const engine of context.quick ? [] : (['tc', 'userspace'] as const))
        narrow.push(...(await measureNarrow(stage, engine, context)));
      const variants = await measureVariants(context);
      return { curve, narrow, variants, ninety, cores: availableParallelism() };
    } finally {
      await stage.close();
    }
  },
  render: renderReference,
  figures: referenceFigures,
  files: ({ ninety: { dstat } }): Record<string, string> =>
    'csv' in dstat ? { 'dstat.csv': dstat.csv } : {},
};
