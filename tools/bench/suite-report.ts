// SPDX-License-Identifier: Apache-2.0
// What `make bench` has measured, as Markdown: from the raw results and nothing else.
import type { Machine } from './machine.js';
import { table } from './markdown.js';
import type { Figure } from './plot.js';
import type { RelayFacts } from './suite/relays/relay.js';
import { SUITE } from './suite/sections.js';

export interface SuiteResults {
  /** ISO 8601, UTC. */
  readonly measured: string;
  readonly command: string;
  readonly minutes: number;
  readonly quick: boolean;
  readonly repeats: number;
  readonly machine: Machine;
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

function conditions(r: SuiteResults): string {
  const m = r.machine;
  return table(
    ['measured', r.measured],
    [
      ['command', `\`${r.command}\``],
      ['took', `${r.minutes.toFixed(1)} minutes`],
      ['commit', m.commit],
      ['processor', `${m.cores} cores of ${m.processor}, ${m.memoryGiB} GiB, ${m.virtual}`],
      ['load before the run', r.loadBefore.toFixed(1)],
      ['kernel', m.kernel],
      ['versions', `Node ${m.node}, libbpf ${m.libbpf}, ${m.compiler}`],
    ],
  );
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
    conditions(r),
    relayTable(r.relays),
    ...measured(r).flatMap(({ section, result }) => [`## ${section.title}`, ...section.render(result)]),
  ];
  return `${parts.join('\n\n')}\n`;
}
