// SPDX-License-Identifier: Apache-2.0
// The thesis's plots with our figures.
import { type Figure, lines } from '../../plot.js';
import { LINK_MBIT } from './narrow.js';
import type { ReferenceResult } from './section.js';

const VIEWERS = { field: 'viewers', title: 'viewers (1 Mbit/s each)' };

export function referenceFigures({ curve, narrow }: ReferenceResult): Figure[] {
  const points = curve.map((one) => ({ ...one, cpu: 100 * one.cores, percent: 100 * one.loss }));
  const link = narrow.flatMap(({ engine, viewers, loss, lossReported }) => [
    { viewers, percent: 100 * loss, what: `${engine}, counted` },
    { viewers, percent: 100 * lossReported, what: `${engine}, reported` },
  ]);
  const throughput = { field: 'mbit', title: 'delivered, Mbit/s', log: true };
  const percent = { field: 'percent', title: 'packets lost, %' };
  return [
    {
      name: 'suite-cpu',
      alt: 'processor time of the machine against throughput, for each engine',
      spec: lines(points, throughput, { field: 'cpu', title: 'machine, % of a core' }, 'engine'),
    },
    {
      name: 'suite-loss',
      alt: 'packet loss against throughput, for each engine',
      spec: lines(points, throughput, percent, 'engine'),
    },
    ...(link.length === 0
      ? []
      : [
          {
            name: 'suite-narrow',
            alt: `packet loss over a link of ${LINK_MBIT} Mbit/s against the number of viewers, counted and as reported`,
            spec: lines(link, VIEWERS, percent, 'what'),
          },
        ]),
  ];
}
