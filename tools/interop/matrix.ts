// SPDX-License-Identifier: Apache-2.0
// All cells, two at a time, each pair of hands on a stage of its own.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Authority } from '../../test/fixtures/tls.js';
import { temporaryFolder } from '../../test/netns/product.js';
import { type Cell } from './cell.js';
import { newClip } from './clip.js';
import type { Result, Surroundings } from './result.js';
import { runCell } from './run-cell.js';
import { Stage } from './stage.js';

const AT_A_TIME = 2;

export interface Ran {
  readonly cell: Cell;
  readonly result: Result;
  readonly seconds: number;
}

/** In the order of the cells. `progress` hears of each as it ends. */
export async function runMatrix(cells: readonly Cell[], progress: (ran: Ran) => void): Promise<Ran[]> {
  const stages: Stage[] = [];
  const done: Ran[] = [];
  try {
    for (let i = 0; i < Math.min(AT_A_TIME, cells.length); i++) stages.push(await Stage.open());
    const world = await newSurroundings(stages[0]!);
    const left = cells.entries();
    const work = async (stage: Stage) => {
      for (const [i, cell] of left) {
        const start = performance.now();
        const result = await runCell(stage, world, cell);
        const ran = { cell, result, seconds: (performance.now() - start) / 1000 };
        done[i] = ran;
        progress(ran);
      }
    };
    await Promise.all(stages.map(work));
    return done;
  } finally {
    for (const stage of stages) await stage.close();
  }
}

/** All stages have the same addresses. */
async function newSurroundings(stage: Stage): Promise<Surroundings> {
  const folder = temporaryFolder();
  const clip = await newClip(folder);
  const authority = new Authority(folder);
  const addresses = (['ipv4', 'ipv6'] as const).flatMap((ip) => [
    stage.sourceAddress(ip),
    stage.proxyAddress(ip),
  ]);
  const { certificate, key } = authority.issue(addresses.map((address) => `IP:${address}`).join());
  const both = join(folder, 'both.pem');
  writeFileSync(both, readFileSync(certificate));
  appendFileSync(both, readFileSync(key));
  return { clip, authority, identity: { both, certificate, key } };
}
