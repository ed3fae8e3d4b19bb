// SPDX-License-Identifier: Apache-2.0
// The curves told.
import { figure, plusMinus, table, verdict } from '../../markdown.js';
import { type Figure, image, lines } from '../../plot.js';
import { THESIS } from '../stage.js';
import type { IdleResult } from './idle.js';
import type { Times } from './latency.js';
import type { CurvesResult } from './section.js';
import { STREAMS_LOAD } from './streams.js';

/** After the promised time. */
const REAPED_WITHIN_S = 15;

export function curvesFigures({ latency }: CurvesResult): Figure[] {
  const values = latency.flatMap(({ engine, viewers, first, last }) => [
    { viewers, us: first.p50, what: `${engine}, first viewer, p50` },
    { viewers, us: last.p50, what: `${engine}, last viewer, p50` },
    { viewers, us: last.p999, what: `${engine}, last viewer, p99.9` },
  ]);
  const x = { field: 'viewers', title: 'viewers', log: true };
  const y = { field: 'us', title: 'from the source to the viewer, us', log: true };
  return [
    {
      name: 'suite-latency',
      alt: 'added latency against the number of viewers, first and last viewer',
      spec: lines(values, x, y, 'what'),
    },
  ];
}

export function renderCurves(r: CurvesResult): string[] {
  const cells = ({ p50, p99, p999 }: Times) => [p50, p99, p999].map((us) => figure(us));
  return [
    '### Added latency',
    `${THESIS.packetsPerSecond} packets/s of ${THESIS.bytes} B, evenly spaced; microseconds from the egress of the source’s device to the ingress of the viewers’, ` +
      'both links included, stamped by the kernel for each packet and copy.',
    table(
      ['', 'viewers', 'packets', 'incomplete', 'first p50', 'p99', 'p99.9', 'last p50', 'p99', 'p99.9'],
      r.latency.map((one) => [
        one.engine,
        figure(one.viewers),
        figure(one.packets),
        figure(one.incomplete),
        ...cells(one.first),
        ...cells(one.last),
      ]),
    ),
    ...curvesFigures(r).map(image),
    '### Streams',
    `The same copies from one stream and from many (${r.streams[0]?.engine}): ${STREAMS_LOAD.packetsPerSecond} packets/s of ${STREAMS_LOAD.bytes} B in each. Mean and standard error of rounds ` +
      'in which the source is turned on and off again; its own cost, with nobody watching, is taken off. Counted where they arrive.',
    table(
      ['streams', 'viewers of each', 'copies/s', 'source: % of a core', 'us per copy'],
      r.streams.map((one) => [
        ...[figure(one.streams), figure(one.viewersEach), figure(one.copiesPerSecond)],
        ...[plusMinus(one.origin, 1, 100), plusMinus(one.microseconds, 3)],
      ]),
    ),
    '### Joining, and memory',
    'Viewers that join one after the other, stay 0.2 s and leave, beside others who watch (TC). Milliseconds from connecting to the answer to PLAY. ' +
      'The kernel’s maps are made when the proxy starts, for as many viewers as there may be.',
    table(
      [
        'watching',
        'joins',
        'a second',
        'p50 ms',
        'p99',
        'most',
        'processor ms each',
        'resident MiB',
        'kernel maps MiB',
      ],
      r.growth.map((one) => [
        figure(one.joined),
        figure(one.joins),
        figure(one.perSecond),
        ...[one.joinMs?.p50, one.joinMs?.p99, one.joinMs?.max].map((ms) => figure(ms ?? NaN, 1)),
        figure(one.cpuMs, 2),
        figure(one.rssMiB, 1),
        figure(one.mapsMiB, 1),
      ]),
    ),
    ...memory(r),
    '### Idle sessions',
    idle(r.idle),
  ];
}

function memory({ growth }: CurvesResult): string[] {
  const [few, many] = [growth[0], growth.at(-1)];
  if (!few || !many || many.joined <= few.joined) return [];
  const kib = ((many.rssMiB - few.rssMiB) * 1024) / (many.joined - few.joined);
  return [
    `Each further viewer takes ${figure(kib, 1)} KiB of the proxy’s process, its RTSP connection included.`,
  ];
}

function idle({ sessions, before, after, cores, goneSeconds, timeoutSeconds }: IdleResult): string {
  const each = ((after - before) * 1024) / sessions;
  const start =
    `${figure(sessions)} sessions that are set up and never play: the proxy’s resident set goes from ${figure(before, 1)} to ${figure(after, 1)} MiB ` +
    `(${figure(each, 1)} KiB each), and it uses ${figure(100 * cores, 2)} % of a core meanwhile.`;
  if (goneSeconds === undefined) return `${start} Their end was not waited for.`;
  const met = goneSeconds < timeoutSeconds + REAPED_WITHIN_S;
  return (
    `${start} The last was gone ${figure(goneSeconds, 1)} s after it had been set up: ` +
    `${verdict(met, `the promised ${timeoutSeconds} s and at most ${REAPED_WITHIN_S} more`)}.`
  );
}
