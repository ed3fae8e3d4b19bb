// SPDX-License-Identifier: Apache-2.0
// What the origin costs by itself, with its link: one viewer where the relay would stand, whose packets are counted and dropped.
import type { CrowdSummary } from '../../../load/crowd.js';
import { spin } from '../../machine-cost.js';
import { compiled } from '../../programs.js';
import type { Stage } from '../stage.js';

export interface Origin {
  /** That it keeps busy, one figure a window. */
  readonly cores: readonly number[];
}

export async function measureOrigin(stage: Stage, windows: number, seconds: number): Promise<Origin> {
  const { proxy, upstream } = stage.topology;
  const idle = (await spin(seconds)).lost;
  const viewer = await proxy.spawn(process.execPath, [
    ...[compiled('tools/load/rtsp-load.js'), stage.source, '--count', upstream.proxy.device],
  ]);
  const [line] = await viewer.output(/^\{"viewers".*\}$/m, 20_000);
  if ((JSON.parse(line) as CrowdSummary).joined !== 1) throw new Error(`the origin: ${viewer.describe()}`);
  const cores: number[] = [];
  for (let i = 0; i < windows; i++) cores.push((await spin(seconds)).lost - idle);
  await viewer.finish(20_000);
  return { cores };
}
