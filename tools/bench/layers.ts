// SPDX-License-Identifier: Apache-2.0
// `make bench-layers`: what the layer policies do with links that are too narrow. A whole run writes docs/benchmarks/layers.json,
// the figures beside it and docs/benchmarks.md; a quick one only into build/bench.
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { newProgram } from '../../src/command-line.js';
import { canNetns } from '../netns/probe.js';
import { cannotDecode } from '../svc/check.js';
import { writeDocument } from './document.js';
import { measureBesideTcp } from './layers/beside-tcp.js';
import type { LayersContext } from './layers/context.js';
import { figures } from './layers/plots.js';
import { measureSharing } from './layers/sharing.js';
import { measureSteps } from './layers/steps.js';
import { renderLayers, type LayersResults } from './layers-report.js';
import { describeMachine } from './machine.js';
import { drawSvg } from './plot.js';

interface Options {
  readonly quick: boolean;
  /** The beginning of runs' names, a regular expression. */
  readonly only?: string;
}

async function measure({ quick, only }: Options): Promise<LayersResults> {
  const start = performance.now();
  const [loadBefore = 0] = loadavg();
  const elapsed = () => `${((performance.now() - start) / 1000).toFixed(0).padStart(4)} s`;
  const context: LayersContext = {
    quick,
    progress: (text) => void process.stderr.write(`${elapsed()}  ${text}\n`),
    wants: (name) => only === undefined || new RegExp(`^(${only})`).test(name),
  };
  const besideTcp = await measureBesideTcp(context);
  const steps = await measureSteps(context);
  const sharing = await measureSharing(context);
  return {
    measured: new Date().toISOString().slice(0, 16).replace('T', ' '),
    quick,
    minutes: (performance.now() - start) / 60_000,
    machine: describeMachine(),
    partial: only !== undefined,
    ...{ loadBefore, sharing, steps, besideTcp },
  };
}

async function save(results: LayersResults): Promise<void> {
  const isWhole = !results.quick && !results.partial;
  const folder = !isWhole ? 'build/bench' : 'docs/benchmarks';
  mkdirSync(folder, { recursive: true });
  const json = `${JSON.stringify(results, null, 1)}\n`;
  writeFileSync(`${folder}/layers.json`, json);
  const written = JSON.parse(json) as LayersResults; // from what was written, as whoever checks it will
  for (const { name, spec } of figures(written.sharing, written.steps))
    writeFileSync(`${folder}/${name}.svg`, await drawSvg(spec));
  if (isWhole) writeDocument();
  process.stdout.write(`${renderLayers(written).join('\n\n')}\n`);
}

const program = newProgram('bench-layers')
  .description(
    'Viewers of layered streams on narrow links, in network namespaces: needs root, and a machine that does nothing else.',
  )
  .option('--quick', 'small and short: shows that everything works, half a minute', false)
  .option(
    '--only <runs>',
    'only runs whose names begin so: "sharing aimd router 160", "steps own", "tcp aimd", "tcp|steps"',
  )
  .parse();
const obstacle = canNetns() ?? cannotDecode();
if (obstacle !== undefined) {
  process.stderr.write(`bench-layers: ${obstacle}\n`);
  process.exit(1);
}
try {
  await save(await measure(program.opts<Options>()));
} catch (error) {
  process.stderr.write(`bench-layers: ${(error as Error).message}\n`);
  process.exit(1);
}
