// SPDX-License-Identifier: Apache-2.0
// The thesis's figures 6.5 and 6.6 again: so many viewers on a link of 100 Mbit/s, without scaling, with its policy, with ours.
import { setTimeout as sleep } from 'node:timers/promises';
import type { PolicyName } from '../../../src/control/layers/policy.js';
import { between, type Between } from './between.js';
import type { LayersContext } from './context.js';
import type { Bottleneck } from './place.js';
import { Scene } from './scene.js';

export interface SharingPoint extends Between {
  readonly policy: PolicyName;
  readonly bottleneck: Bottleneck;
  readonly viewers: number;
}

export interface SharingResult {
  readonly linkMbit: number;
  readonly settleSeconds: number;
  readonly points: readonly SharingPoint[];
}

interface Plan {
  readonly policy: PolicyName;
  readonly bottleneck: Bottleneck;
  readonly viewers: readonly number[];
}

const LINK_MBIT = 100;
/** Viewers that it has just room for: they have found their places sooner. */
const ROOM = 80;
/** The thesis's policy moves a layer per report of five seconds; ours has found its place after a minute. */
const SETTLE_SECONDS = { off: 5, thesis: 30, aimd: 60 } as const;
const MEASURED_SECONDS = { off: 10, thesis: 20, aimd: 60 } as const;

const PLANS: readonly Plan[] = [
  { policy: 'off', bottleneck: 'router', viewers: [1, 80, 120, 160] },
  { policy: 'thesis', bottleneck: 'router', viewers: [80, 120, 160] },
  { policy: 'aimd', bottleneck: 'router', viewers: [80, 120, 160] },
  { policy: 'aimd', bottleneck: 'own', viewers: [160] },
];
const QUICK: readonly Plan[] = [
  { policy: 'aimd', bottleneck: 'router', viewers: [10] },
  { policy: 'aimd', bottleneck: 'own', viewers: [10] },
];

export async function measureSharing({ quick, progress, wants }: LayersContext): Promise<SharingResult> {
  const points: SharingPoint[] = [];
  const linkMbit = quick ? 6 : LINK_MBIT;
  for (const { policy, bottleneck, viewers } of quick ? QUICK : PLANS)
    for (const count of viewers) {
      if (!wants(`sharing ${policy} ${bottleneck} ${count}`)) continue;
      const part = quick ? 0.05 : count <= ROOM ? 0.5 : 1;
      const [settle, seconds] = [SETTLE_SECONDS[policy] * part, MEASURED_SECONDS[policy] * part];
      progress(`sharing: ${count} viewers, ${policy}, bottleneck ${bottleneck}, ${settle + seconds} s`);
      const found = await measureOne(
        { policy, bottleneck, viewers: count, rate: linkMbit * 1e6 },
        settle,
        seconds,
      );
      points.push({ policy, bottleneck, viewers: count, ...found });
    }
  return { linkMbit, settleSeconds: SETTLE_SECONDS.aimd, points };
}

async function measureOne(
  options: Parameters<typeof Scene.open>[0],
  settle: number,
  seconds: number,
): Promise<Between> {
  const scene = await Scene.open(options);
  try {
    await sleep(settle * 1000);
    const before = await scene.moment();
    await sleep(seconds * 1000);
    return between(before, await scene.moment());
  } finally {
    await scene.close();
  }
}
