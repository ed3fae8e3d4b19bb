// SPDX-License-Identifier: Apache-2.0
// The thesis's figures and ours, side by side.
import { figure, range, table, verdict } from '../../markdown.js';
import { image } from '../../plot.js';
import { THESIS } from '../stage.js';
import { atLimit, fit, LIMIT_LOSS } from './curve.js';
import { referenceFigures } from './figures.js';
import { frameMbit, LINK_MBIT, type VariantReading } from './narrow.js';
import { dstatSwitches, VIEWERS, type NinetyResult, type Switches } from './ninety.js';
import type { Reading } from './reading.js';
import type { ReferenceResult } from './section.js';

/** Of the thesis, chapter 6: a 2.66 GHz Core 2 Duo, Python in user space. */
const SWITCHES_THEN = { kernel: 108, userspace: 502 };
const LIMIT_THEN = { kernel: 4800, userspace: 840 };

const percent = (share: number, digits = 2) => figure(100 * share, digits);

export function renderReference(r: ReferenceResult): string[] {
  return [
    `The thesis’s stream: ${THESIS.packetsPerSecond} packets/s of ${THESIS.bytes} B, ${figure(frameMbit(1), 2)} Mbit/s of frames. RTSP viewers over UDP, counted at ` +
      'their device; each reports to the proxy by RTCP.',
    '### Context switches',
    ...switches(r.ninety),
    '### Processor time and loss against throughput',
    `Machine: what spinners lose, origin, link and receivers included, in % of a core (there are ${r.cores}). Up to ${percent(LIMIT_LOSS, 0)} % of ` +
      'loss; after that no more viewers were tried.',
    curveTable(r.curve),
    ...referenceFigures(r).slice(0, 2).map(image),
    limits(r),
    `### A link of ${LINK_MBIT} Mbit/s`,
    ...narrow(r),
  ];
}

const nameOf = (engine: string) => (engine === 'origin' ? 'origin alone' : engine);

/** Those of the machine that are neither the origin's nor the viewers'. */
const ofProxy = (one: Switches, origin: Switches) =>
  one.machine.median - one.viewers - (origin.machine.median - origin.viewers);

function switches({ readings, seconds, dstat }: NinetyResult): string[] {
  const origin = readings.find(({ engine }) => engine === 'origin')!;
  const ours = readings.filter((one) => one !== origin);
  const then = (engine: string) => SWITCHES_THEN[engine === 'userspace' ? 'userspace' : 'kernel'];
  return [
    `${VIEWERS} viewers that report every 5 s, ${seconds} s. On the thesis’s machine there was neither origin nor viewer, so what the ` +
      'machine does for the origin alone, and the process that plays the viewers, are taken off.',
    table(
      [
        'a second',
        'machine',
        'viewers’ process',
        'proxy’s process',
        'machine without origin and viewers',
        'thesis',
        'proxy, % of a core',
      ],
      readings.map((one) => [
        nameOf(one.engine),
        range(one.machine),
        figure(one.viewers),
        one === origin ? '-' : figure(one.process, 1),
        one === origin ? '-' : figure(ofProxy(one, origin)),
        one === origin ? '-' : `${then(one.engine)}`,
        one === origin ? '-' : percent(one.processCores, 1),
      ]),
    ),
    ...ours.map((one) => {
      const [value, target] = [ofProxy(one, origin), then(one.engine)];
      const error = Math.hypot(one.machineError, origin.machineError);
      const met = error > target / 4 ? undefined : value < target;
      return (
        `${one.engine}: ${figure(value)} context switches a second, standard error ${figure(error)}: ` +
        `${verdict(met, `fewer than the thesis’s ${target}`)}.`
      );
    }),
    'notRun' in dstat
      ? `dstat was not run: ${dstat.notRun}`
      : `dstat, which the thesis used, beside us (TC, once more): ${figure(dstatSwitches(dstat.csv) ?? NaN)} context switches a second of the machine ` +
        `by its lines ([benchmarks/dstat.csv](benchmarks/dstat.csv)), ${range(dstat.machine)} by our reading, dstat’s own work included.`,
  ];
}

function curveTable(curve: readonly Reading[]): string {
  return table(
    [
      'engine',
      'viewers',
      'Mbit/s',
      'machine, % of a core',
      'proxy’s process',
      'lost %',
      'reported lost %',
      'joined',
    ],
    curve.map((one) => [
      one.engine,
      figure(one.viewers),
      figure(one.mbit),
      percent(one.cores, 1),
      percent(one.processCores, 1),
      percent(one.loss),
      percent(one.lossReported),
      figure(one.joined),
    ]),
  );
}

/** As the thesis did it: a line through what was measured up to 100 viewers; and what was really reached. */
function limits({ curve, cores }: ReferenceResult): string {
  const engines = [...new Set(curve.map(({ engine }) => engine))];
  return table(
    [
      '',
      'us of the machine per copy, up to 100 viewers',
      'viewers at all cores, extrapolated',
      'the thesis',
      'most without a limit',
      'its Mbit/s',
      'first at a limit',
    ],
    engines.map((engine) => {
      const own = curve.filter((one) => one.engine === engine);
      const { base, perViewer } = fit(own);
      const fine = own.filter((one) => !atLimit(one)).at(-1);
      const over = own.find(atLimit);
      return [
        engine,
        figure((perViewer / THESIS.packetsPerSecond) * 1e6, 2),
        perViewer > 0 ? figure((cores - base) / perViewer) : '-',
        figure(engine === 'userspace' ? LIMIT_THEN.userspace : LIMIT_THEN.kernel),
        fine ? figure(fine.viewers) : 'none',
        fine ? figure(fine.mbit) : '-',
        over ? figure(over.viewers) : 'none',
      ];
    }),
  );
}

function narrow(r: ReferenceResult): string[] {
  const { variants } = r;
  const drawn = referenceFigures(r).slice(2).map(image);
  return [
    `A token bucket of ${LINK_MBIT} Mbit/s at the proxy’s interface, full with ${figure(LINK_MBIT / frameMbit(1))} viewers. XDP leaves such an ` +
      'interface to TC, because its frames would go past the bucket. Counted from six seconds on after all have joined: TC parks up to 200 packets before it refuses any. In the thesis the kernel path lost far more than user space, and rotation kept ' +
      'the variance between viewers low.',
    ...(r.narrow.length > 0
      ? [
          table(
            [
              'engine',
              'viewers',
              'due Mbit/s',
              'Mbit/s',
              'lost %',
              'reported lost %',
              'its standard deviation between viewers, %',
            ],
            r.narrow.map((one) => [
              one.engine,
              figure(one.viewers),
              figure(frameMbit(one.viewers)),
              figure(one.mbit, 1),
              percent(one.loss),
              percent(one.lossReported),
              percent(one.deviation),
            ]),
          ),
          ...drawn,
        ]
      : []),
    'The kernel engine (TC) as it is; compiled so that a copy which the interface does not take at once is lost; and so that, besides, ' +
      'every packet goes to the same viewer first. Counted is all of four seconds, of which the first lets TC park what it delivers in the end:',
    variantTable(variants),
    ...rotationVerdict(variants),
  ];
}

function variantTable(variants: readonly VariantReading[]): string {
  return table(
    [
      '',
      'viewers',
      'packets in a burst',
      'due Mbit/s',
      'Mbit/s',
      'lost %',
      'least to most lost by a viewer, %',
      'standard deviation, %',
    ],
    variants.map((one) => [
      one.variant,
      figure(one.viewers),
      figure(one.burst),
      figure(frameMbit(one.viewers)),
      figure(one.mbit, 1),
      percent(one.loss),
      `${percent(one.least, 1)} to ${percent(one.most, 1)}`,
      percent(one.deviation),
    ]),
  );
}

/** The last number of viewers: there is too little for all. */
function rotationVerdict(variants: readonly VariantReading[]): string[] {
  const viewers = variants.at(-1)?.viewers;
  const of = (variant: VariantReading['variant']) =>
    variants.find((one) => one.variant === variant && one.viewers === viewers);
  const [rotating, fixed] = [of('no deferral'), of('no deferral, no rotation')];
  if (!rotating || !fixed) return [];
  const met = fixed.loss < LIMIT_LOSS ? undefined : rotating.deviation < fixed.deviation / 2;
  return [
    `${viewers} viewers, without deferral: the standard deviation of a viewer’s loss is ${percent(rotating.deviation)} % with rotation and ` +
      `${percent(fixed.deviation)} % without: ${verdict(met, 'less than half of it')}.`,
  ];
}
