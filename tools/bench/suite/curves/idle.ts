// SPDX-License-Identifier: Apache-2.0
// Sessions that are set up and never play: what they take of the proxy, and that they are forgotten when their time is over.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientRow } from '../../../../src/control/api/types.js';
import { DEFAULT_LIMITS } from '../../../../src/control/state/limits.js';
import { ask } from '../../../../src/proxyctl/api-client.js';
import { until } from '../../../netns/wait.js';
import { compiled } from '../../programs.js';
import type { Context } from '../../section.js';
import { startEngine } from '../reference/engine.js';
import { rates, usage } from '../process.js';
import type { Stage } from '../stage.js';

export interface IdleResult {
  readonly sessions: number;
  /** Resident set of the proxy without and with them, MiB. */
  readonly before: number;
  readonly after: number;
  /** Cores that the proxy keeps busy while nobody asks anything. */
  readonly cores: number;
  /** From the last one's SETUP until none was left; undefined: it was not waited for. */
  readonly goneSeconds?: number;
  /** That the Session header promises. */
  readonly timeoutSeconds: number;
}

const OPEN_MS = 60_000;
/** After the session's time. */
const GRACE_MS = 20_000;

export async function measureIdle(stage: Stage, { quick, progress }: Context): Promise<IdleResult> {
  const sessions = quick ? 100 : 10_000;
  progress(`${sessions} idle sessions`);
  const engine = await startEngine(stage, 'tc');
  try {
    const before = usage(engine.pid).rssMiB;
    const worker = await stage.viewers.spawn(process.execPath, [
      ...[compiled('tools/bench/suite/curves/idle-worker.js'), `${sessions}`, engine.url, ...stage.addresses],
    ]);
    await worker.output(/^ready$/m, OPEN_MS);
    const since = performance.now();
    const count = async () => (await ask<ClientRow[]>(engine.socket, 'GET', '/clients')).length;
    const open = await count();
    if (open !== sessions) throw new Error(`${open} of ${sessions} sessions are there`);
    const from = usage(engine.pid);
    await sleep(quick ? 500 : 5000);
    const to = usage(engine.pid);
    const result = {
      ...{ sessions, before, after: to.rssMiB, cores: rates(from, to).cores },
      timeoutSeconds: DEFAULT_LIMITS.sessionMs / 1000,
    };
    if (quick) return result;
    await until(
      'idle sessions to be forgotten',
      async () => (await count()) === 0,
      DEFAULT_LIMITS.sessionMs + GRACE_MS,
    );
    return { ...result, goneSeconds: (performance.now() - since) / 1000 };
  } finally {
    await engine.stop();
    await stage.viewers.clear();
  }
}
