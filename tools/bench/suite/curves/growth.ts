// SPDX-License-Identifier: Apache-2.0
// With more and more viewers watching: how long the next ones take to join, and how much memory the proxy has.
import { readdirSync, readFileSync } from 'node:fs';
import type { CrowdSummary } from '../../../load/crowd.js';
import { compiled } from '../../programs.js';
import type { Context } from '../../section.js';
import { openAudience, flowing } from '../audience.js';
import { usage } from '../process.js';
import { startEngine } from '../reference/engine.js';
import type { Stage } from '../stage.js';

export interface GrowthPoint {
  readonly viewers: number;
  readonly joined: number;
  /** Resident set, MiB. */
  readonly rssMiB: number;
  /** Memory that the kernel's maps hold, MiB. */
  readonly mapsMiB: number;
  /** Of joins one after the other at that rate: connect to the answer to PLAY. */
  readonly joins: number;
  readonly perSecond: number;
  readonly joinMs: { readonly p50: number; readonly p99: number; readonly max: number } | null;
  /** Processor time of the proxy for each, ms; what the others cost it meanwhile included. */
  readonly cpuMs: number;
}

const RATE = 100;
/** Before those that count: a program that has just been started is slow. */
const WARM_UP = 50;
/** Beyond those of the audience. */
const PORTS = '50000-59999';

/** Of the maps that the process has open (bpf(2): /proc/PID/fdinfo). */
function mapsMiB(pid: number): number {
  const bytes = readdirSync(`/proc/${pid}/fdinfo`).map((fd) => {
    const text = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8');
    return /^map_type/m.test(text) ? Number(/^memlock:\s*(\d+)/m.exec(text)?.[1] ?? 0) : 0;
  });
  return bytes.reduce((sum, one) => sum + one, 0) / 2 ** 20;
}

export async function measureGrowth(stage: Stage, { quick, progress }: Context): Promise<GrowthPoint[]> {
  const joins = quick ? 20 : 400;
  const engine = await startEngine(stage, 'tc');
  const points: GrowthPoint[] = [];
  try {
    for (const viewers of quick ? [10] : [10, 500, 1000, 2000]) {
      progress(`joins beside ${viewers} viewers`);
      const audience = await openAudience(stage, engine.url, viewers, { transport: 'udp' });
      await flowing(audience);
      const { rssMiB } = usage(engine.pid);
      const load = await stage.viewers.spawn(process.execPath, [
        ...[compiled('tools/load/rtsp-load.js'), engine.url, '--viewers', `${joins}`, '--rate', `${RATE}`],
        ...['--from', stage.addresses.join(','), '--ports', PORTS, '--stay', '0.2'],
        ...['--warm-up', `${WARM_UP}`],
      ]);
      await load.output(/^warm$/m, 60_000);
      const before = usage(engine.pid);
      const [line] = await load.output(/^\{.*\}$/m, 60_000);
      const { joinMs, perSecond, joined } = JSON.parse(line) as CrowdSummary;
      const cpuMs = (usage(engine.pid).cpuNs - before.cpuNs) / 1e6 / joined;
      await load.finish(20_000);
      points.push({
        ...{ viewers, joined: audience.joined, rssMiB, mapsMiB: mapsMiB(engine.pid) },
        ...{ joins: joined, perSecond, joinMs, cpuMs },
      });
      await audience.leave();
    }
    return points;
  } finally {
    await engine.stop();
  }
}
