// SPDX-License-Identifier: Apache-2.0
// One cell, within its time, and what comes of it.
import { within } from '../netns/wait.js';
import type { Cell } from './cell.js';
import { peerOf } from './peers/all.js';
import { play } from './play.js';
import type { Proxy } from './proxy.js';
import type { Result } from './result.js';
import { showExclusion, whoseFault } from './straight.js';

const LIMIT_MS = 120_000;

/** Never rejects. What it starts has ended when it resolves; the proxy goes on where the cell went well. */
export async function runCell(proxy: Proxy, cell: Cell): Promise<Result> {
  const { stage, world } = proxy;
  const result = await onStage(proxy, attempt(proxy, cell));
  if (result.is !== 'failed' || cell.excluded) return result;
  const fault = whoseFault(stage, world, cell);
  return { is: 'failed', why: `${await fault.finally(() => stage.clear())}\n${result.why}` };
}

async function onStage(proxy: Proxy, running: Promise<Result>): Promise<Result> {
  const { stage } = proxy;
  try {
    const result = await within('the cell to end', running, LIMIT_MS);
    await stage.clearEnds();
    return result;
  } catch (error) {
    await proxy.abandon();
    await stage.clear();
    await running.catch(() => {}); // what it was still waiting for is gone
    await proxy.abandon();
    await stage.clear();
    return { is: 'failed', why: (error as Error).message };
  }
}

async function attempt(proxy: Proxy, cell: Cell): Promise<Result> {
  if (peerOf(cell).version() === undefined) return { is: 'not installed' };
  if (cell.excluded) return showExclusion(proxy.stage, proxy.world, cell, cell.excluded);
  await play(proxy, cell);
  return { is: 'ok' };
}
