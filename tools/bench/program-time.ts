// SPDX-License-Identifier: Apache-2.0
// How long the engine's own programs run per copy, as the kernel counts it. Not while anything else is measured:
// counting costs a little.
import type { EngineName } from './engines.js';
import type { Fanout } from './fanout.js';
import { type Path } from './path.js';
import { askLine, benchTool } from './programs.js';

export interface ProgramTime {
  readonly nsPerCopy: number;
  readonly runsPerPacket: number;
}

interface Program {
  readonly name: string;
  readonly runs: number;
  readonly ns: number;
}

interface Filter {
  readonly options?: { readonly prog?: { readonly id: number } };
}

/** Programs of XDP are on no list of TC's: those of our names that are loaded. Nobody else's engine runs meanwhile. */
async function xdpIds(path: Path): Promise<string[]> {
  const text = await path.topology.proxy.run('bpftool', ['--json', 'prog', 'show']);
  const programs = JSON.parse(text) as { id: number; name?: string }[];
  return programs.filter(({ name }) => name?.startsWith('xdp_')).map(({ id }) => `${id}`);
}

/** Ids of the programs that the engine has on its devices. */
async function programIds(path: Path, fanout: Fanout): Promise<string[]> {
  const { facts } = await fanout.ask('counters', {});
  const ids = new Set<string>();
  for (const device of String(facts['devices']).split(' ')) {
    const text = await path.topology.proxy.run('tc', ['-json', 'filter', 'show', 'dev', device, 'ingress']);
    for (const { options } of JSON.parse(text) as Filter[]) if (options?.prog) ids.add(`${options.prog.id}`);
  }
  for (const id of await xdpIds(path)) ids.add(id);
  return [...ids];
}

/** `more`: words for the source. */
export async function timePrograms(
  path: Path,
  engine: EngineName,
  load: { viewers: number; pps: number; bytes: number; seconds: number },
  more: readonly string[] = [],
): Promise<ProgramTime> {
  const fanout = await path.open(engine, load.viewers);
  const sink = await path.sink();
  const stats = await path.topology.proxy.spawn(benchTool('bpf-stats'), await programIds(path, fanout));
  await stats.output(/^ready$/m);
  const sum = async () => (await askLine<Program[]>(stats)).map(({ runs, ns }) => ({ runs, ns })).reduce(add);
  const before = await sum();
  const { sent } = await path.send({ ...load, burst: 1 }, load.seconds, more);
  await fanout.settled();
  const after = await sum();
  const { copies } = await sink.read();
  await stats.finish();
  await sink.close();
  await fanout.close();
  return { nsPerCopy: (after.ns - before.ns) / copies, runsPerPacket: (after.runs - before.runs) / sent };
}

function add(a: { runs: number; ns: number }, b: { runs: number; ns: number }) {
  return { runs: a.runs + b.runs, ns: a.ns + b.ns };
}
