// SPDX-License-Identifier: Apache-2.0
// `make bench`: the whole suite, all from one run. Writes docs/benchmarks/suite.json, plots beside it, and docs/benchmarks.md; a
// quick or partial one only the raw results and plots, into build/bench, and the text to standard output.
import { Option } from 'commander';
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { newProgram } from '../../src/command-line.js';
import { canNetns } from '../netns/probe.js';
import { canMeasure } from '../wire/counter.js';
import { writeDocument } from './document.js';
import { describeMachine } from './machine.js';
import { REPEATS } from './options.js';
import { drawSvg } from './plot.js';
import { buildTools } from './programs.js';
import type { Context } from './section.js';
import { renderSuite, suiteFigures, suiteFiles, type SuiteResults } from './suite-report.js';
import { endProgress, progressLine, showProgress } from './suite/progress.js';
import { RELAYS } from './suite/relays/all.js';
import { factsOf } from './suite/relays/relay.js';
import { SUITE } from './suite/sections.js';

const NAMES = SUITE.map(({ name }) => name);

interface Options {
  readonly quick: boolean;
  readonly repeats: number;
  readonly only: readonly string[];
}

function parse(): Options {
  const program = newProgram('bench')
    .description(
      'Measures this proxy beside what else is on PATH (mediamtx, go2rtc, live555ProxyServer, VLC, a GStreamer relay), in network ' +
        'namespaces of its own: needs root, clang, gcc, and a machine that does nothing else. A whole run writes docs/benchmarks.md.',
    )
    .option('--quick', 'small and short: shows that everything works', false)
    .addOption(new Option('--only <sections...>', 'some sections only').choices(NAMES).default(NAMES))
    .option('--repeats <n>', 'of everything that is a ratio', REPEATS, 2);
  program.parse();
  const options = program.opts<Options>();
  return options.quick ? { ...options, repeats: 1 } : options;
}

/** In half an hour something may go wrong that has nothing to do with what is measured: such a section begins once more. */
async function measureSection(section: (typeof SUITE)[number], context: Context): Promise<unknown> {
  try {
    return await section.measure(context);
  } catch (error) {
    if (context.quick) throw error;
    process.stderr.write(`bench: ${section.name} begins again: ${(error as Error).message}\n`);
    return section.measure(context);
  }
}

async function measure(options: Options): Promise<SuiteResults> {
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  const [loadBefore = 0] = loadavg();
  const chosen = SUITE.filter(({ name }) => options.only.includes(name));
  const settings = {
    engines: ['xdp', 'tc'],
    addresses: options.quick ? 5 : 50,
    quick: options.quick,
    repeats: options.repeats,
    progress: () => {},
  } satisfies Context;
  const expected = chosen.reduce((sum, section) => sum + section.expectedSeconds(settings), 0);
  const sections: Record<string, unknown> = {};
  for (const section of chosen)
    sections[section.name] = await measureSection(section, {
      ...settings,
      progress: (text) => showProgress(progressLine({ elapsed, expected }, section.name, text)),
    });
  endProgress();
  return {
    measured: new Date().toISOString().slice(0, 16).replace('T', ' '),
    command: ['make bench', ...process.argv.slice(2)].join(' '),
    minutes: elapsed() / 60,
    quick: options.quick,
    repeats: options.repeats,
    machine: describeMachine(),
    loadBefore,
    relays: RELAYS.map(factsOf),
    sections,
  };
}

async function save(results: SuiteResults, options: Options): Promise<void> {
  const json = `${JSON.stringify(results, null, 1)}\n`;
  const whole = !options.quick && options.only.length === NAMES.length;
  const folder = whole ? 'docs/benchmarks' : 'build/bench';
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/suite${options.quick ? '-quick' : ''}.json`, json);
  const written = JSON.parse(json) as SuiteResults; // from what was written, as whoever checks it will
  for (const { name, spec } of suiteFigures(written))
    writeFileSync(`${folder}/${name}.svg`, await drawSvg(spec));
  for (const [name, text] of Object.entries(suiteFiles(written))) writeFileSync(`${folder}/${name}`, text);
  if (whole) writeDocument();
  process.stdout.write(renderSuite(written));
}

const options = parse();
const obstacle = canNetns() ?? canMeasure();
if (obstacle !== undefined) {
  process.stderr.write(`bench: ${obstacle}\n`);
  process.exit(1);
}
try {
  buildTools();
  await save(await measure(options), options);
} catch (error) {
  endProgress();
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exit(1);
}
