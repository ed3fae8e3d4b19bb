// SPDX-License-Identifier: Apache-2.0
// One cell, within its time, and what comes of it.
import { within } from '../netns/wait.js';
import type { Cell } from './cell.js';
import { peerOf } from './peers/all.js';
import { play } from './play.js';
import type { Result, Surroundings } from './result.js';
import type { Stage } from './stage.js';
import { showExclusion, whoseFault } from './straight.js';

const LIMIT_MS = 120_000;

/** Never rejects. What it starts has ended when it resolves. */
export async function runCell(stage: Stage, world: Surroundings, cell: Cell): Promise<Result> {
  const result = await onStage(stage, attempt(stage, world, cell));
  if (result.is !== 'failed' || cell.excluded) return result;
  const fault = whoseFault(stage, world, cell);
  return { is: 'failed', why: `${await fault.finally(() => stage.clear())}\n${result.why}` };
}

async function onStage(stage: Stage, running: Promise<Result>): Promise<Result> {
  try {
    return await within('the cell to end', running, LIMIT_MS);
  } catch (error) {
    return { is: 'failed', why: (error as Error).message };
  } finally {
    await stage.clear();
    await running.catch(() => {}); // what it was still waiting for is gone
    await stage.clear();
  }
}

async function attempt(stage: Stage, world: Surroundings, cell: Cell): Promise<Result> {
  if (peerOf(cell).version() === undefined) return { is: 'not installed' };
  if (cell.excluded) return showExclusion(stage, world, cell, cell.excluded);
  await play(stage, world, cell);
  return { is: 'ok' };
}
