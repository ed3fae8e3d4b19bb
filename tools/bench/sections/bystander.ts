// SPDX-License-Identifier: Apache-2.0
// What traffic that is not ours pays for our program on its device while nobody watches: one flow, flat out, with the program
// and without in turns. Flows differ by a tenth from one to the next, so those of two would tell little.
import { setTimeout as sleep } from 'node:timers/promises';
import { figure, plusMinus, range, table, verdict } from '../markdown.js';
import { Path } from '../path.js';
import { benchTool } from '../programs.js';
import type { Context, Section } from '../section.js';
import { type Estimate, estimate, isAtMost, type Spread, spread } from '../statistics.js';

const TARGET = 0.02;
const PORT = 6000;
/** Of one turn. */
const SECONDS = 0.25;
/** For each repeat. */
const PAIRS = { tcp: 96, udp: 16 };
const QUICK = { seconds: 0.2, pairs: { tcp: 2, udp: 2 } };
/** Around a turn (turns.c), and of the whole: until the flow is at its speed. */
const SETTLE_SECONDS = 0.1;
const BEGIN_SECONDS = 1;

type Protocol = keyof typeof PAIRS;

interface Run {
  readonly protocol: Protocol;
  readonly pairs: number;
  /** A second: bytes (TCP), packets (UDP). */
  readonly without: Spread;
  readonly attached: Spread;
  /** Share of the rate that the program costs, from pairs of neighbouring turns. */
  readonly cost: Estimate;
}

export interface BystanderResult {
  readonly seconds: number;
  readonly runs: readonly Run[];
}

/** As tc(8) shows it. */
interface Filter {
  readonly pref: number;
  readonly options?: { readonly handle?: string; readonly prog?: object };
}

interface Turn {
  readonly attached: boolean;
  readonly bytes: number;
  readonly packets: number;
}

/** A flow through the device that the source's packets come in on, into the proxy's IP stack, while `during` runs. */
async function withFlow<T>(
  path: Path,
  protocol: Protocol,
  seconds: number,
  during: () => Promise<T>,
): Promise<T> {
  const { server, proxy, upstream } = path.topology;
  const at = `${upstream.proxy.address}:${PORT}`;
  const receiver = await proxy.spawn(benchTool('blast'), ['--protocol', protocol, '--listen', at]);
  await receiver.output(/^ready$/m);
  const to = ['--protocol', protocol, '--to', at, '--seconds', `${seconds}`];
  const sender = await server.spawn(benchTool('blast'), to);
  try {
    await sleep(1000 * BEGIN_SECONDS);
    const result = await during();
    if (!sender.running) throw new Error(`the flow ended too early\n${sender.describe()}`);
    return result;
  } finally {
    await sender.stop();
    await receiver.stop();
  }
}

async function takeTurns(path: Path, pairs: number, seconds: number): Promise<Turn[]> {
  const { proxy, upstream } = path.topology;
  const { device } = upstream.proxy;
  const shown = await proxy.run('tc', ['-json', 'filter', 'show', 'dev', device, 'ingress']);
  const ours = (JSON.parse(shown) as Filter[]).find(({ options }) => options?.prog);
  const place = [
    '--device',
    device,
    '--priority',
    `${ours!.pref}`,
    '--handle',
    `${Number(ours!.options!.handle)}`,
  ];
  const line = await proxy.run(benchTool('turns'), [
    ...place,
    '--pairs',
    `${pairs}`,
    '--seconds',
    `${seconds}`,
  ]);
  return (JSON.parse(line) as { turns: Turn[] }).turns;
}

async function measureFlow(path: Path, protocol: Protocol, pairs: number, seconds: number): Promise<Run> {
  const whole = BEGIN_SECONDS + 2 * pairs * (seconds + SETTLE_SECONDS) + 5;
  const turns = await withFlow(path, protocol, whole, () => takeTurns(path, pairs, seconds));
  const rates = (wanted: boolean) =>
    turns
      .filter(({ attached }) => attached === wanted)
      .map(({ bytes, packets }) => (protocol === 'tcp' ? bytes : packets));
  const [without, attached] = [rates(false), rates(true)];
  const cost = estimate(without.map((rate, i) => 1 - attached[i]! / rate));
  return { protocol, pairs, without: spread(without), attached: spread(attached), cost };
}

async function measure(context: Context): Promise<BystanderResult> {
  const seconds = context.quick ? QUICK.seconds : SECONDS;
  const path = await Path.build(1);
  const runs: Run[] = [];
  try {
    // As a real device has it; the rest of the benchmark needs packets one by one.
    await path.topology.server.offloads('eth0', { tso: true, gso: true });
    const fanout = await path.open(context.engines[0], 0);
    for (const protocol of ['tcp', 'udp'] as const) {
      const pairs = context.quick ? QUICK.pairs[protocol] : PAIRS[protocol] * context.repeats;
      context.progress(`bystander: ${protocol}, ${pairs} pairs`);
      runs.push(await measureFlow(path, protocol, pairs, seconds));
    }
    await fanout.close();
    return { seconds, runs };
  } finally {
    await path.close();
  }
}

function render(r: BystanderResult): string[] {
  const unit = { tcp: ['Mbit/s', 8e-6], udp: ['packets/s', 1] } as const;
  const { cost } = r.runs.find(({ protocol }) => protocol === 'tcp')!;
  return [
    'Traffic to another port through the device that carries the program, flat out, one stream open and no viewer: one flow, and in it ' +
      `pairs of turns of ${figure(r.seconds, 2)} s, with the program attached and without. TCP is what iperf3 sends (segmentation offload on); UDP is the worst case: ` +
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
