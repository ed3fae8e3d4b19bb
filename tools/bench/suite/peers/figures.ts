// SPDX-License-Identifier: Apache-2.0
// What a copy costs with each relay, as bars with their standard errors.
import { type Figure, SIZE } from '../../plot.js';
import { perCopy } from './report.js';
import type { PeersResult } from './section.js';

/** Of the runs whose cost was measured, by UDP. */
export function peersFigures({ runs, origin }: PeersResult): Figure[] {
  const values = runs
    .filter(({ made, failure }) => made.length > 0 && failure === undefined)
    .map((run) => ({ run, us: perCopy(run, 'made', origin) }))
    .filter(({ us }) => Number.isFinite(us.mean))
    .map(({ run: { relay, viewers, overloaded }, us: { mean, error } }) => ({
      relay: overloaded ? `${relay} (does not keep up)` : relay,
      viewers,
      us: Math.max(0, mean),
      low: Math.max(0, mean - (Number.isFinite(error) ? error : 0)),
      high: Math.max(0, mean + (Number.isFinite(error) ? error : 0)),
    }));
  if (values.length === 0) return [];
  const y = { field: 'relay', type: 'nominal', title: null, sort: null, axis: { labelLimit: 300 } } as const;
  const { width, background, padding, config } = SIZE;
  return [
    {
      name: 'suite-peers',
      alt: 'machine cost of a copy made, over UDP, for each relay and number of viewers',
      spec: {
        ...{ background, padding, config },
        data: { values },
        facet: {
          row: {
            ...{ field: 'viewers', type: 'ordinal', title: null },
            header: { labelExpr: "datum.value + ' viewers'" },
          },
        },
        resolve: { scale: { y: 'independent' } },
        spec: {
          ...{ width, height: { step: 18 } },
          layer: [
            {
              mark: { type: 'bar' },
              encoding: {
                y,
                x: {
                  field: 'us',
                  type: 'quantitative',
                  title: 'us of a core per copy, and its standard error',
                },
              },
            },
            {
              mark: { type: 'rule', strokeWidth: 2, color: 'black' },
              encoding: { y, x: { field: 'low', type: 'quantitative' }, x2: { field: 'high' } },
            },
          ],
        },
      },
    },
  ];
}
