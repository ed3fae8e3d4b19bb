// SPDX-License-Identifier: Apache-2.0
// What the origin costs by itself, with its link: one viewer where the relay would stand, whose packets are counted and dropped.
import type { CrowdSummary } from '../../../load/crowd.js';
import { compiled } from '../../programs.js';
import { measureRounds } from '../rounds.js';
import type { Stage } from '../stage.js';

export interface Origin {
  /** That it keeps busy, one figure a round. */
  readonly cores: readonly number[];
}

export async function measureOrigin(stage: Stage, rounds: number, seconds: number): Promise<Origin> {
  const { proxy, upstream } = stage.topology;
  const viewer = await proxy.spawn(process.execPath, [
    ...[compiled('tools/load/rtsp-load.js'), stage.source, '--count', upstream.proxy.device],
  ]);
  const [line] = await viewer.output(/^\{"viewers".*\}$/m, 20_000);
  if ((JSON.parse(line) as CrowdSummary).joined !== 1) throw new Error(`the origin: ${viewer.describe()}`);
  const measured = await measureRounds(stage, { rounds, seconds, pid: viewer.pid, copies: async () => 0 });
  await viewer.finish(20_000);
  return { cores: measured.map(({ cores }) => cores) };
}
