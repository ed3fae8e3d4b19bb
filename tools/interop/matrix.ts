// SPDX-License-Identifier: Apache-2.0
// All cells, two at a time, each pair of hands on a stage of its own; then those that failed once more, alone.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Authority } from '../../test/fixtures/tls.js';
import { temporaryFolder } from '../netns/temporary-folder.js';
import { type Cell, ENGINES } from './cell.js';
import { newClip } from './clip.js';
import { Proxy } from './proxy.js';
import type { Result, Surroundings } from './result.js';
import { runCell } from './run-cell.js';
import { Stage } from './stage.js';

const AT_A_TIME = 2;

export interface Ran {
  readonly cell: Cell;
  readonly result: Result;
  readonly seconds: number;
}

/** In the order of the cells. `progress` hears of each as it ends, of some twice. */
export async function runMatrix(cells: readonly Cell[], progress: (ran: Ran) => void): Promise<Ran[]> {
  const stages: Stage[] = [];
  const done: Ran[] = [];
  try {
    for (let i = 0; i < Math.min(AT_A_TIME, cells.length); i++) stages.push(await Stage.open());
    const world = await newSurroundings(stages[0]!);
    const proxies = stages.map((stage) => new Proxy(stage, world));
    const run = async (proxy: Proxy, i: number, again: boolean) => {
      const start = performance.now();
      const cell = cells[i]!;
      const result = await runCell(proxy, cell);
      const seconds = (performance.now() - start) / 1000;
      done[i] = { cell, result: again && result.is === 'ok' ? { is: 'ok', again } : result, seconds };
      progress(done[i]!);
    };
    const left = byEngine(cells).values();
    const work = async (proxy: Proxy) => {
      for (const i of left) await run(proxy, i, false);
      await proxy.stop();
    };
    await Promise.all(proxies.map(work));
    // On a busy machine packets are lost: what failed is tried once more, with nothing beside it.
    for (const [i, { cell, result }] of done.entries())
      if (result.is === 'failed' && !cell.excluded) await run(proxies[0]!, i, true);
    await proxies[0]?.stop();
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
    stage.proxyAddressUpstream(ip),
  ]);
  const { certificate, key } = authority.issue(addresses.map((address) => `IP:${address}`).join());
  const both = join(folder, 'both.pem');
  writeFileSync(both, readFileSync(certificate));
  appendFileSync(both, readFileSync(key));
  return { clip, authority, identity: { both, certificate, key } };
}

/** Indexes of the cells: a proxy goes through those of an engine before it is started with the next one. */
function byEngine(cells: readonly Cell[]): number[] {
  return ENGINES.flatMap((engine) => cells.flatMap((cell, i) => (cell.engine === engine ? [i] : [])));
}
