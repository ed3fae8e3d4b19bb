// SPDX-License-Identifier: Apache-2.0
// What traffic that is not ours pays for our program on its device while nobody watches: flat out, with the program and
// without, in turns.
import { figure, plusMinus, range, table, verdict } from '../markdown.js';
import { Path } from '../path.js';
import { benchTool } from '../programs.js';
import type { Context, Section } from '../section.js';
import { type Estimate, estimate, isAtMost, type Spread, spread } from '../statistics.js';

const TARGET = 0.02;
const PORT = 6000;
/** Of one run. Neighbouring runs of TCP differ by a tenth however long they are: only many of them tell anything. */
const SECONDS = 0.5;
/** For each repeat. */
const PAIRS = { tcp: 64, udp: 8 };
const QUICK = { seconds: 0.3, pairs: { tcp: 2, udp: 2 } };

type Protocol = keyof typeof PAIRS;

interface Run {
  readonly protocol: Protocol;
  readonly pairs: number;
  /** A second: bytes (TCP), packets (UDP). */
  readonly without: Spread;
  readonly attached: Spread;
  /** Share of the rate that the program costs, from pairs of neighbouring runs. */
  readonly cost: Estimate;
}

export interface BystanderResult {
  readonly seconds: number;
  readonly runs: readonly Run[];
}

/** Through the device that the source's packets come in on, into the proxy's IP stack. */
async function blast(path: Path, protocol: Protocol, seconds: number): Promise<number> {
  const { server, proxy, upstream } = path.topology;
  const at = `${upstream.proxy.address}:${PORT}`;
  const receiver = await proxy.spawn(benchTool('blast'), ['--protocol', protocol, '--listen', at]);
  await receiver.output(/^ready$/m);
  const line = await server.run(benchTool('blast'), [
    '--protocol',
    protocol,
    '--to',
    at,
    '--seconds',
    `${seconds}`,
  ]);
  await receiver.finish();
  const sent = JSON.parse(line) as { bytes?: number; packets?: number; seconds: number };
  return (sent.bytes ?? sent.packets!) / sent.seconds;
}

async function withProgram(
  path: Path,
  context: Context,
  protocol: Protocol,
  seconds: number,
): Promise<number> {
  const fanout = await path.open(context.engines[0], 0);
  const rate = await blast(path, protocol, seconds);
  await fanout.close();
  const { proxy, upstream } = path.topology;
  await proxy.run('tc', ['qdisc', 'del', 'dev', upstream.proxy.device, 'clsact']); // without is without
  return rate;
}

async function measure(context: Context): Promise<BystanderResult> {
  const seconds = context.quick ? QUICK.seconds : SECONDS;
  const path = await Path.build(1);
  const runs: Run[] = [];
  try {
    // As a real device has it; the rest of the benchmark needs packets one by one.
    await path.topology.server.offloads('eth0', { tso: true, gso: true });
    for (const protocol of ['tcp', 'udp'] as const) {
      const without: number[] = [];
      const attached: number[] = [];
      const pairs = context.quick ? QUICK.pairs[protocol] : PAIRS[protocol] * context.repeats;
      await blast(path, protocol, seconds);
      for (let pair = 0; pair < pairs; pair++) {
        context.progress(`bystander: ${protocol}, pair ${pair + 1} of ${pairs}`);
        // In turns first, so that a drift of the machine favours neither.
        if (pair % 2) attached.push(await withProgram(path, context, protocol, seconds));
        without.push(await blast(path, protocol, seconds));
        if (!(pair % 2)) attached.push(await withProgram(path, context, protocol, seconds));
      }
      const costs = without.map((rate, i) => 1 - attached[i]! / rate);
      const rates = { without: spread(without), attached: spread(attached) };
      runs.push({ protocol, pairs, ...rates, cost: estimate(costs) });
    }
    return { seconds, runs };
  } finally {
    await path.close();
  }
}

function render(r: BystanderResult): string[] {
  const unit = { tcp: ['Mbit/s', 8e-6], udp: ['packets/s', 1] } as const;
  const { cost } = r.runs.find(({ protocol }) => protocol === 'tcp')!;
  return [
    'Traffic to another port through the device that carries the program, flat out, one stream open and no viewer: pairs of ' +
      `runs of ${figure(r.seconds, 1)} s, with the program and without. TCP is what iperf3 sends (segmentation offload on); UDP is the worst case: ` +
      'packets of 64 B one by one, each of which the program has to look up. The cost is the mean over the pairs and its standard error.',
    table(
      ['', 'pairs', 'without', 'with', 'cost in %'],
      r.runs.map(({ protocol, pairs, without, attached, cost }) => {
        const [name, scale] = unit[protocol];
        return [
          `${protocol}, ${name}`,
          `${pairs}`,
          range(without, 0, scale),
          range(attached, 0, scale),
          plusMinus(cost, 1, 100),
        ];
      }),
    ),
    `TCP: ${plusMinus(cost, 1, 100)} %: ${verdict(isAtMost(cost, TARGET), `below ${TARGET * 100} %`)}.`,
  ];
}

export const bystander: Section<BystanderResult> = {
  name: 'bystander',
  title: 'Cost for traffic that is not ours',
  measure,
  render,
};
