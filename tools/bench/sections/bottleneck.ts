// SPDX-License-Identifier: Apache-2.0
// A link behind a token bucket, a little wider and a little narrower than the stream: what waiting for a full egress
// saves and costs, and that viewers lose the same packets where packets must be lost.
import { type Delivery, deliver, losses } from '../delivery.js';
import { figure, table, verdict } from '../markdown.js';
import { machineCost } from '../machine-cost.js';
import { HEADERS, narrow, QUEUE_PACKETS, widen } from '../narrow-link.js';
import { Path } from '../path.js';
import { OBJECTS, OBJECTS_WITHOUT_DEFERRAL } from '../programs.js';
import type { Context, Section } from '../section.js';

const TRAFFIC = { pps: 271, bytes: 466, burst: 30 };
/** Of the time that the source sends: what starting it takes is left out. */
const MEASURED = 0.8;

interface Run {
  /** Of the stream's mean rate. */
  readonly width: number;
  readonly deferral: boolean;
  readonly delivery: Delivery;
  /** Cores, origin and receiver included. */
  readonly cores: number;
}

export interface BottleneckResult {
  readonly viewers: number;
  readonly meanMbit: number;
  readonly queuePackets: number;
  readonly runs: readonly Run[];
}

/** Of the mean rate, and whether what the egress does not take waits. */
const LINKS = [
  [1.2, true],
  [1.2, false],
  [0.8, true],
  [0.8, false],
] as const;

async function measure(context: Context): Promise<BottleneckResult> {
  const viewers = context.quick ? 30 : 90;
  const seconds = context.quick ? 1.2 : 12;
  const mean = viewers * TRAFFIC.pps * (TRAFFIC.bytes + HEADERS) * 8;
  // XDP leaves a device that shapes to TC: it is the same then, and the variant is built for TC only.
  const engine = context.engines[0] === 'xdp' ? 'tc' : context.engines[0];
  const path = await Path.build(context.addresses);
  const runs: Run[] = [];
  try {
    for (const [width, deferral] of context.quick ? LINKS.filter(([, deferral]) => deferral) : LINKS) {
      context.progress(`bottleneck: ${width} of the mean rate, ${deferral ? 'with' : 'without'} deferral`);
      await narrow(path.topology, width * mean, TRAFFIC.bytes);
      const fanout = await path.open(engine, viewers, deferral ? OBJECTS : OBJECTS_WITHOUT_DEFERRAL);
      let delivery: Promise<Delivery> | undefined;
      const { cores } = await machineCost(seconds * MEASURED, async () => {
        delivery = deliver(path, fanout, viewers, TRAFFIC, seconds);
        return { mark: async () => {}, stop: async () => void (await delivery) };
      });
      await fanout.close();
      await widen(path.topology);
      runs.push({ width, deferral, cores, delivery: (await delivery)! });
    }
    return { viewers, meanMbit: mean / 1e6, queuePackets: QUEUE_PACKETS, runs };
  } finally {
    await path.close();
  }
}

/** The same packets reached everybody: all that the engine took, each once, and it tells how many it did not take. */
export function sameForAll({ delivery: d }: Run): boolean {
  return d.leastLost === d.refused && d.mostLost === d.refused && d.dropped === 0 && d.duplicated === 0;
}

function render(r: BottleneckResult): string[] {
  const wide = r.runs.find(({ width, deferral }) => width > 1 && deferral)!;
  const tight = r.runs.find(({ width, deferral }) => width < 1 && deferral)!;
  const { refused, sent, leastLost, mostLost } = tight.delivery;
  return [
    `${r.viewers} viewers, bursts of ${TRAFFIC.burst}, a token bucket (TBF) with a queue of ${r.queuePackets} packets at the egress; ` +
      `the stream's mean rate over all viewers is ${figure(r.meanMbit, 1)} Mbit/s. Without deferral a copy that the egress does not take ` +
      'at once is lost (the same programs, compiled so): the loss that the thesis saw.',
    table(
      [
        'link',
        'deferral',
        'copies due',
        'lost',
        'least and most lost by a viewer',
        'refused whole',
        '% of a core',
        'passes per packet',
        'lost where',
      ],
      r.runs.map(({ width, deferral, cores, delivery: d }) => [
        `${figure(width * 100)} % of the mean rate`,
        deferral ? 'on' : 'off',
        figure(d.sent * d.viewers),
        figure(d.lost),
        `${figure(d.leastLost)} to ${figure(d.mostLost)}`,
        figure(d.refused),
        figure(cores * 100, 1),
        figure(d.passes, 1),
        losses(d),
      ]),
    ),
    `${figure(wide.width * 100)} % of the mean rate, deferral on: ${verdict(wide.delivery.lost === 0, '0 lost')}.`,
    `${figure(tight.width * 100)} %: of ${figure(sent)} packets the engine refused ${figure(refused)} whole, and each viewer lost ` +
      `${figure(leastLost)} to ${figure(mostLost)}: ${verdict(refused > 0 && sameForAll(tight), 'every viewer loses the same packets, to the packet')}.`,
  ];
}

export const bottleneck: Section<BottleneckResult> = {
  name: 'bottleneck',
  title: 'A narrow link',
  measure,
  render,
};
