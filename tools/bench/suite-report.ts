// SPDX-License-Identifier: Apache-2.0
// What `make bench` has measured, as Markdown: from the raw results and nothing else.
import { conditionsTable, type Conditions } from './conditions.js';
import { table } from './markdown.js';
import type { Figure } from './plot.js';
import type { RelayFacts } from './suite/relays/relay.js';
import { SUITE } from './suite/sections.js';

export interface SuiteResults extends Conditions {
  readonly quick: boolean;
  readonly repeats: number;
  /** Processes that wanted a core before the run, mean of a minute: above 0.5 the machine was not quiet. */
  readonly loadBefore: number;
  /** Who stood in the proxy's place, who could not, and how each was called. */
  readonly relays: readonly RelayFacts[];
  /** Section name -> what it measured. */
  readonly sections: Readonly<Record<string, unknown>>;
}

/** What stands beside the document. */
export function suiteFigures(r: SuiteResults): Figure[] {
  return measured(r).flatMap(({ section, result }) => section.figures?.(result) ?? []);
}

export function suiteFiles(r: SuiteResults): Record<string, string> {
  return Object.assign({}, ...measured(r).map(({ section, result }) => section.files?.(result))) as Record<
    string,
    string
  >;
}

function measured(r: SuiteResults) {
  return SUITE.flatMap((section) => {
    const result = r.sections[section.name];
    return result === undefined ? [] : [{ section, result: result as never }];
  });
}

function relayTable(relays: readonly RelayFacts[]): string {
  return table(
    ['relay', 'version', 'command'],
    relays.map((relay) => [
      relay.name,
      'version' in relay ? relay.version : `not run: ${relay.notRun}`,
      `\`${relay.command.replaceAll('|', '\\|')}\``,
    ]),
  );
}

export function renderSuite(r: SuiteResults): string {
  const parts = [
    '# Benchmarks: against what people use',
    'Written by `make bench` from [benchmarks/suite.json](benchmarks/suite.json); not edited by hand. Origin, relay and viewers are network ' +
      'namespaces joined by veth pairs on one machine, so all three share its cores: read the figures as ratios within this one run. ' +
      'A figure is the median, with the range behind it where there is one. How to measure another machine or another server: ' +
      '[measuring.md](measuring.md).',
    ...(r.quick ? ['**A quick run: it shows that everything works, the figures mean nothing.**'] : []),
    conditionsTable(r, [['load before the run', r.loadBefore.toFixed(1)]]),
    relayTable(r.relays),
    ...measured(r).flatMap(({ section, result }) => [`## ${section.title}`, ...section.render(result)]),
  ];
  return `${parts.join('\n\n')}\n`;
}
