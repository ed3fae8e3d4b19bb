// SPDX-License-Identifier: Apache-2.0
// make bench-datapath: measures the datapath and writes down what came out. A whole run writes docs/benchmarks.md and the
// raw results beside it; a quick or partial one only the raw results, into build/bench, and the text to standard output.
import { Option } from 'commander';
import { mkdirSync, writeFileSync } from 'node:fs';
import { newProgram } from '../../src/command-line.js';
import { canNetns } from '../netns/probe.js';
import { canMeasure } from '../wire/counter.js';
import { writeDocument } from './document.js';
import { ENGINES, type EngineName } from './engines.js';
import { describeMachine } from './machine.js';
import { REPEATS } from './options.js';
import { buildTools } from './programs.js';
import { type Results, report } from './report.js';
import type { Context } from './section.js';
import { SECTIONS } from './sections/all.js';

const NAMES = SECTIONS.map(({ name }) => name);

interface Options {
  readonly engines: readonly [EngineName, ...EngineName[]];
  readonly quick: boolean;
  readonly repeats: number;
  readonly only: readonly string[];
}

function parse(): Options {
  const program = newProgram('bench-datapath')
    .description(
      'Measures the datapath in network namespaces of its own: needs root, clang, gcc, and a machine that does nothing else. ' +
        'A whole run takes about half an hour and writes docs/benchmarks.md.',
    )
    .addOption(
      new Option('--engines <names...>', 'which engines, the most important first')
        .choices(ENGINES)
        .default(ENGINES),
    )
    .option('--quick', 'small and short: shows that everything works, in about a minute', false)
    .addOption(new Option('--only <sections...>', 'some sections only').choices(NAMES).default(NAMES))
    .option('--repeats <n>', 'of everything that is a ratio', REPEATS, 3);
  program.parse();
  const options = program.opts<Options>();
  return options.quick ? { ...options, repeats: 1 } : options;
}

async function measure(options: Options): Promise<Results> {
  const start = performance.now();
  const context: Context = {
    ...options,
    addresses: options.quick ? 5 : 50,
    progress: (text) => void process.stderr.write(`${elapsed(start)}  ${text}\n`),
  };
  const sections: Record<string, unknown> = {};
  for (const section of SECTIONS.filter(({ name }) => options.only.includes(name)))
    sections[section.name] = await section.measure(context);
  return {
    measured: new Date().toISOString().slice(0, 16).replace('T', ' '),
    command: ['make bench-datapath', ...process.argv.slice(2)].join(' '),
    minutes: (performance.now() - start) / 60_000,
    engines: options.engines,
    quick: options.quick,
    repeats: options.repeats,
    machine: describeMachine(),
    sections,
  };
}

const elapsed = (start: number) => `${((performance.now() - start) / 1000).toFixed(0).padStart(4)} s`;

function save(results: Results, options: Options): void {
  const json = `${JSON.stringify(results, null, 1)}\n`;
  const whole = !options.quick && options.only.length === NAMES.length;
  const folder = whole ? 'docs/benchmarks' : 'build/bench';
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/datapath${options.quick ? '-quick' : ''}.json`, json);
  const text = report(JSON.parse(json) as Results); // from what was written, as whoever checks it will
  if (whole) writeDocument();
  process.stdout.write(text);
}

const options = parse();
const obstacle = canNetns() ?? canMeasure();
if (obstacle !== undefined) {
  process.stderr.write(`bench-datapath: ${obstacle}\n`);
  process.exit(1);
}
try {
  buildTools();
  save(await measure(options), options);
} catch (error) {
  process.stderr.write(`bench-datapath: ${(error as Error).message}\n`);
  process.exit(1);
}
