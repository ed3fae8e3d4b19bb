// SPDX-License-Identifier: Apache-2.0
// One viewer of the real clip on a link that steps 2, 0.4, 2 Mbit/s: how soon it gets other layers, and whether each picture
// that it got can be decoded.
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { cannotDecode, decodePictures, receivedPictures, type ReceivedPicture } from '../../svc/check.js';
import { busyBetween, type Busy } from './busy.js';
import type { LayersContext } from './context.js';
import type { Bottleneck } from './place.js';
import { readPackets, type Kept } from './kept.js';
import { Scene } from './scene.js';

export interface StepsRun {
  readonly bottleneck: Bottleneck;
  /** Mbit/s and from when on, seconds. */
  readonly steps: readonly { readonly mbit: number; readonly at: number }[];
  /** Each change of the allowance: seconds, layer (7: all). */
  readonly changes: readonly { readonly at: number; readonly layer: number }[];
  /** After each step down or up, until the layers fit, or are all there are, and stay so; null: never. */
  readonly downSeconds: number | null;
  readonly upSeconds: number | null;
  /** From SETTLED_SECONDS behind each step to the next. */
  readonly settled: readonly Settled[];
  /** RTP that came, kbit/s, second by second. */
  readonly kbit: readonly number[];
  readonly busy?: Busy;
}

interface Settled {
  readonly pictures: number;
  readonly undecodable: number;
  /** Gaps in sequence numbers. */
  readonly gaps: number;
}

/** Two reports of five seconds, each half as much again at most. */
const SETTLED_SECONDS = 15;
const LOOK_MS = 200;
const CLIP = 'tools/camera/clip-svc.h264';
/** Of the clip: its base and the next layer take 0.45 Mbit/s, so that only the base fits into 0.4. */
const FITS = 0;
const MBIT = [2, 0.4, 2];
const SECONDS = { router: [20, 45, 55], own: [20, 35, 45] } as const;

export async function measureSteps({ quick, progress, wants }: LayersContext): Promise<StepsRun[]> {
  const obstacle = cannotDecode();
  if (obstacle !== undefined) throw new Error(obstacle);
  const runs: StepsRun[] = [];
  for (const bottleneck of quick ? (['own'] as const) : (['router', 'own'] as const)) {
    if (!wants(`steps ${bottleneck}`)) continue;
    const [seconds, settle] = quick ? [[2, 3, 2], 1] : [SECONDS[bottleneck], SETTLED_SECONDS];
    progress(
      `steps: ${MBIT.join(', ')} Mbit/s, bottleneck ${bottleneck}, ${seconds.reduce((a, b) => a + b)} s`,
    );
    runs.push(await measureOne(bottleneck, seconds, settle));
  }
  return runs;
}

async function measureOne(
  bottleneck: Bottleneck,
  seconds: readonly number[],
  settle: number,
): Promise<StepsRun> {
  const keep = `build/bench/layers-${process.pid}.packets`;
  const scene = await Scene.open({
    ...{ policy: 'aimd', viewers: 1, bottleneck, rate: MBIT[0]! * 1e6, clip: CLIP, keep },
  });
  const beginMs = performance.timeOrigin + performance.now();
  const now = () => (performance.timeOrigin + performance.now() - beginMs) / 1000;
  const busyAtFirst = scene.busy();
  const steps: { mbit: number; at: number }[] = [];
  const changes: { at: number; layer: number }[] = [];
  try {
    for (const [i, mbit] of MBIT.entries()) {
      await scene.place.narrow(bottleneck, mbit * 1e6);
      const at = now();
      steps.push({ mbit, at });
      while (now() < at + seconds[i]!) {
        const layer = await scene.allowance();
        if (changes.at(-1)?.layer !== layer) changes.push({ at: now(), layer });
        await sleep(LOOK_MS);
      }
    }
    const end = now();
    const busy = busyBetween(busyAtFirst, scene.busy());
    await scene.close();
    const packets = readPackets(keep, beginMs);
    const settled = steps.map(({ at }, i) => judge(packets, at + settle, steps[i + 1]?.at ?? end));
    const kbit = perSecond(packets, end);
    const downSeconds = after(changes, steps[1]!.at, steps[2]!.at, (layer) => layer <= FITS);
    const upSeconds = after(changes, steps[2]!.at, end, (layer) => layer >= 2);
    return { bottleneck, steps, changes, downSeconds, upSeconds, settled, kbit, busy };
  } catch (error) {
    await scene.close().catch(() => {});
    throw error;
  } finally {
    rmSync(keep, { force: true });
  }
}

/** Seconds from `from` until the layer is one that `fits`, for the first time. */
function after(
  changes: StepsRun['changes'],
  from: number,
  to: number,
  fits: (layer: number) => boolean,
): number | null {
  const before = changes.findLast(({ at }) => at <= from)?.layer ?? 7;
  if (fits(before)) return 0;
  const found = changes.find(({ at, layer }) => at > from && at <= to && fits(layer));
  return found ? found.at - from : null;
}

/** All are decoded from the beginning on; those of the time are judged. A picture that is damaged by another's loss counts. */
function judge(packets: readonly Kept[], from: number, to: number): Settled {
  const pictures = receivedPictures(packets.map(({ packet }) => packet));
  const first = pictures.findIndex(({ isIdr, isWhole }) => isIdr && isWhole);
  if (first < 0) return { pictures: 0, undecodable: 0, gaps: 0 };
  const came = new Map(packets.map(({ at, packet }) => [packet.readUInt32BE(4), at]));
  const decoded = decodePictures(pictures.slice(first));
  const isIn = ({ timestamp }: ReceivedPicture) => came.get(timestamp)! >= from && came.get(timestamp)! < to;
  const judged = pictures.slice(first).map((picture, i) => ({ picture, state: decoded[i]?.state ?? -1 }));
  const within = judged.filter(({ picture }) => isIn(picture));
  return {
    pictures: within.length,
    undecodable: within.filter(({ state }) => state !== 0).length,
    gaps: within.filter(({ picture }) => !picture.isContinuous).length,
  };
}

function perSecond(packets: readonly Kept[], end: number): number[] {
  const sums = Array.from({ length: Math.floor(end) }, () => 0);
  for (const { at, packet } of packets)
    if (at >= 0 && Math.floor(at) < sums.length) sums[Math.floor(at)]! += (packet.length * 8) / 1000;
  return sums.map(Math.round);
}
