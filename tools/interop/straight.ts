// SPDX-License-Identifier: Apache-2.0
// A peer straight in front of another one, with no proxy between: what an exclusion says it cannot do,
// shown anew; and whose fault a failure is.
import { GOP, difference } from '../../test/netns/players.js';
import type { Cell, Exclusion } from './cell.js';
import { within } from '../netns/wait.js';
import { REFERENCE, sourceNamed, viewerNamed } from './peers/all.js';
import type { Result, Surroundings } from './result.js';
import { inUrl, type Stage } from './stage.js';

const FRAMES = 50;
const LIMIT_MS = 40_000;
/** Of the error's line, in the report. */
const LONGEST = 160;

interface Outcome {
  readonly works: boolean;
  /** What both have printed. */
  readonly said: string;
}

/** @throws Error where it works, or fails otherwise than the exclusion says */
export async function showExclusion(
  stage: Stage,
  world: Surroundings,
  cell: Cell,
  { against, error }: Exclusion,
): Promise<Result> {
  const { works, said } = await straight(stage, world, cell, against);
  const line = said.split('\n').find((each) => new RegExp(error).test(each));
  if (works) throw new Error(`it works with ${against}: the exclusion no longer holds`);
  if (line === undefined) throw new Error(`it fails with ${against}, but not with ${error}:\n${said}`);
  return { is: 'excluded', error: withoutAddress(line).slice(0, LONGEST) };
}

/** Of a cell that has failed: whether that is the proxy's fault or the peer's. Never rejects. */
export async function whoseFault(stage: Stage, world: Surroundings, cell: Cell): Promise<string> {
  const against = cell.role === 'viewer' ? REFERENCE.source.name : REFERENCE.viewer.name;
  try {
    const { works } = await within('it to end', straight(stage, world, cell, against), LIMIT_MS);
    return works ? `straight with ${against} it works` : `straight with ${against} it fails as well`;
  } catch (error) {
    return `straight with ${against} it could not be tried: ${(error as Error).message.split('\n')[0]}`;
  }
}

async function straight(
  stage: Stage,
  { clip, identity }: Surroundings,
  cell: Cell,
  against: string,
): Promise<Outcome> {
  if (cell.role === 'publisher') throw new Error('no other server here takes what is published');
  const { transport, login, ip } = cell;
  const source = sourceNamed(cell.role === 'source' ? cell.peer : against);
  const viewer = viewerNamed(cell.role === 'viewer' ? cell.peer : against);
  const address = stage.sourceAddress(ip);
  const { child, port, path } = await source.serve({
    ...{ where: stage.source, address, transport, login, clip, certificate: identity.both },
  });
  const at = { host: inUrl(address), port, path, login };
  const player = await viewer.watch({ where: stage.proxy, at, transport, frames: FRAMES });
  const outcome = await player.frames().catch((failure: Error) => failure);
  const said = [player.child, child].map(({ stderr, stdout }) => `${stderr}\n${stdout}`).join('\n');
  const works = !(outcome instanceof Error) && difference(outcome, clip.hashes, FRAMES - GOP) === undefined;
  return { works, said };
}

/** VLC begins its lines with the address of an object, which is another one in every run. */
function withoutAddress(line: string): string {
  return line.replaceAll(/(\[| @ )(0x)?[0-9a-f]{12,16}\]\s*/g, '$1...] ').trim();
}
