// SPDX-License-Identifier: Apache-2.0
// A TCP flow beside twenty viewers that want more than the link has.
import { setTimeout as sleep } from 'node:timers/promises';
import type { PolicyName } from '../../../src/control/layers/policy.js';
import { askLine, compiled } from '../programs.js';
import { between, type Between } from './between.js';
import type { LayersContext } from './context.js';
import { Scene } from './scene.js';

export interface BesideTcpRun extends Between {
  readonly policy: PolicyName;
  readonly viewers: number;
  readonly linkMbit: number;
  /** What the receiver of the flow read. */
  readonly tcpMbit: number;
  /** The link's, by its flows. */
  readonly fairMbit: number;
}

const VIEWERS = 20;
const LINK_MBIT = 15;
const PORT = 7000;
const SETTLE_SECONDS = 40;
const SECONDS = 40;

export async function measureBesideTcp({ quick, progress, wants }: LayersContext): Promise<BesideTcpRun[]> {
  const runs: BesideTcpRun[] = [];
  for (const policy of quick ? (['aimd'] as const) : (['off', 'aimd'] as const)) {
    if (!wants(`tcp ${policy}`)) continue;
    const [settle, seconds] = quick ? [1, 2] : policy === 'off' ? [5, 20] : [SETTLE_SECONDS, SECONDS];
    progress(`a TCP flow beside ${VIEWERS} viewers, ${policy}, ${settle + seconds} s`);
    runs.push(await measureOne(policy, settle, seconds));
  }
  return runs;
}

async function measureOne(policy: PolicyName, settle: number, seconds: number): Promise<BesideTcpRun> {
  const rate = LINK_MBIT * 1e6;
  const scene = await Scene.open({ policy, viewers: VIEWERS, bottleneck: 'router', rate });
  try {
    const { crowd, crowdAddress, topology } = scene.place;
    const flow = (what: string) => [
      compiled('tools/bench/layers/tcp-flow.js'),
      what,
      crowdAddress,
      `${PORT}`,
    ];
    const receiver = await crowd.spawn(process.execPath, flow('receive'));
    await receiver.output(/^ready$/m);
    const sender = await topology.proxy.spawn(process.execPath, flow('send'));
    await sender.output(/^ready$/m);
    await sleep(settle * 1000);
    const [before, [bytes = 0]] = [await scene.moment(), await askLine<number[]>(receiver)];
    await sleep(seconds * 1000);
    const [now, [after = 0]] = [await scene.moment(), await askLine<number[]>(receiver)];
    const found = between(before, now);
    await sender.stop();
    await receiver.finish();
    const tcpMbit = ((after - bytes) * 8) / 1e6 / found.seconds;
    return {
      policy,
      viewers: VIEWERS,
      linkMbit: LINK_MBIT,
      tcpMbit,
      fairMbit: LINK_MBIT / (VIEWERS + 1),
      ...found,
    };
  } finally {
    await scene.close();
  }
}
