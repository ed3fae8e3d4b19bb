// SPDX-License-Identifier: Apache-2.0
// The document: from the raw results and nothing else, so that no figure in it is typed by hand.
import { conditionsTable, type Conditions } from './conditions.js';
import { SECTIONS } from './sections/all.js';

export interface Results extends Conditions {
  readonly engines: readonly string[];
  readonly quick: boolean;
  readonly repeats: number;
  /** Section name -> what it measured. */
  readonly sections: Readonly<Record<string, unknown>>;
}

export function report(r: Results): string {
  const parts = [
    '# Benchmarks: the datapath',
    'Written by `make bench-datapath` from [benchmarks/datapath.json](benchmarks/datapath.json); not edited by hand. ' +
      `Engine, unless said otherwise: ${r.engines[0]}. Source, proxy and viewers are network namespaces joined by veth pairs on one machine, a queue for each core on the viewers' link and GRO on at the ` +
      'receivers, so all three share its cores. Read the figures as ratios within this one run. A figure is the median ' +
      `of ${r.repeats} repeats with the range behind it, unless said otherwise.`,
  ];
  if (r.quick) parts.push('**A quick run: it shows that everything works, the figures mean nothing.**');
  const settings = Object.entries(r.machine.settings).map(([name, value]) => `${name} ${value}`);
  parts.push(conditionsTable(r, [['settings', settings.join(', ')]]));
  for (const section of SECTIONS) {
    const result = r.sections[section.name];
    if (result !== undefined) parts.push(`## ${section.title}`, ...section.render(result as never));
  }
  return `${parts.join('\n\n')}\n`;
}
