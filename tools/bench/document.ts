// SPDX-License-Identifier: Apache-2.0
// docs/benchmarks.md: what has been measured, each benchmark's part from its raw results and nothing else.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { renderJoins, type JoinsResults } from './joins-report.js';
import { renderLayers, type LayersResults } from './layers-report.js';
import { report, type Results } from './report.js';
import { renderSuite, type SuiteResults } from './suite-report.js';

const FOLDER = 'docs/benchmarks';
const DOCUMENT = 'docs/benchmarks.md';

/** Undefined where it has not been measured yet. */
function read<R>(name: string): R | undefined {
  const file = `${FOLDER}/${name}.json`;
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as R) : undefined;
}

export function documentText(): string {
  const suite = read<SuiteResults>('suite');
  const datapath = read<Results>('datapath');
  const joins = read<JoinsResults>('joins');
  const layers = read<LayersResults>('layers');
  const parts = [
    ...(suite ? [renderSuite(suite)] : []),
    ...(datapath ? [report(datapath)] : []),
    ...(joins ? [`${['# Benchmarks: joining', ...renderJoins(joins)].join('\n\n')}\n`] : []),
    ...(layers ? [`${['# Benchmarks: layers', ...renderLayers(layers)].join('\n\n')}\n`] : []),
  ];
  return parts.join('\n');
}

export function writeDocument(): void {
  writeFileSync(DOCUMENT, documentText());
}
