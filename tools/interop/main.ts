// SPDX-License-Identifier: Apache-2.0
// make interop: every cell of cells.yaml, a table of what came out, and docs/interop.md of a whole run.
import { writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { newProgram } from '../../src/command-line.js';
import { canNetns } from '../netns/probe.js';
import { type Cell, nameOf, readCells } from './cell.js';
import { document, type Run } from './document.js';
import { type Ran, runMatrix } from './matrix.js';
import { peerOf, PEERS, sourceNamed, viewerNamed } from './peers/all.js';
import { plainTable, sections, summary, tally } from './table.js';

const CELLS = 'tools/interop/cells.yaml';
const DOCUMENT = 'docs/interop.md';
/** Of a failed cell, on the terminal; --json has all. */
const LINES_OF_FAILURE = 12;

interface Options {
  readonly json: boolean;
  readonly list: boolean;
  readonly only?: string;
}

function parse(): Options {
  return newProgram('interop')
    .description(
      `Real cameras' servers and players through the proxy, by every transport that they have: the cells of ${CELLS}. ` +
        `Needs root, for network namespaces. A whole run writes ${DOCUMENT}. Exit code 1 when a cell fails.`,
    )
    .option('--only <words>', "cells with all of these words in their names, e.g. 'mpv tls'")
    .option('--list', 'the names of the cells, and run none', false)
    .option('--json', 'the results as JSON, and nothing else on standard output', false)
    .allowExcessArguments(false)
    .parse()
    .opts<Options>();
}

function chosen(only: string | undefined): Cell[] {
  const words = only?.split(/\s+/).filter(Boolean) ?? [];
  const cells = readCells(CELLS).filter((cell) =>
    words.every((word) => nameOf(cell).split(' ').includes(word)),
  );
  if (cells.length === 0) fail(2, `no cell has all of the words '${only}' in its name: --list shows them`);
  for (const cell of cells) {
    peerOf(cell);
    if (cell.excluded) (cell.role === 'viewer' ? sourceNamed : viewerNamed)(cell.excluded.against);
  }
  return cells;
}

function fail(code: 1 | 2, why: string): never {
  process.stderr.write(`interop: ${why}\n`);
  process.exit(code);
}

function tell({ cell, result, seconds }: Ran): void {
  process.stderr.write(`${seconds.toFixed(1).padStart(5)} s  ${result.is.padEnd(8)}  ${nameOf(cell)}\n`);
}

function show(run: Run): void {
  const { ran, seconds } = run;
  for (const { title, rows } of sections(ran)) console.log(`\n${title}\n${plainTable(rows)}`);
  for (const { cell, result } of ran) {
    if (result.is === 'excluded')
      console.log(
        `\n${nameOf(cell)}: excluded, in front of ${cell.excluded!.against} it says\n  ${result.error}`,
      );
    if (result.is === 'failed') console.log(`\n${nameOf(cell)}: FAILED\n${indented(result.why)}`);
  }
  console.log(`\n${summary(ran)}, in ${Math.round(seconds)} s`);
}

const indented = (text: string): string =>
  text
    .split('\n')
    .slice(0, LINES_OF_FAILURE)
    .map((line) => `  ${line}`)
    .join('\n');

async function run(cells: readonly Cell[], json: boolean): Promise<Run> {
  const start = performance.now();
  const ran = await runMatrix(cells, json ? () => {} : tell);
  return {
    at: new Date().toISOString().slice(0, 16).replace('T', ' '),
    seconds: (performance.now() - start) / 1000,
    kernel: release(),
    peers: Object.fromEntries(PEERS.map((peer) => [`${peer.name} (${peer.role})`, peer.version() ?? null])),
    ran,
  };
}

const options = parse();
try {
  const cells = chosen(options.only);
  if (options.list) console.log(cells.map(nameOf).join('\n'));
  else {
    const obstacle = canNetns();
    if (obstacle !== undefined) fail(1, obstacle);
    const results = await run(cells, options.json);
    if (options.json) console.log(JSON.stringify(results, null, 1));
    else show(results);
    if (options.only === undefined) writeFileSync(DOCUMENT, document(results));
    if (tally(results.ran).failed > 0) process.exitCode = 1;
  }
} catch (error) {
  fail(1, (error as Error).message);
}
