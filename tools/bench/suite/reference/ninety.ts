// SPDX-License-Identifier: Apache-2.0
// 90 viewers that report as players do: context switches per second of the proxy and of the machine, by the kernel's counters and
// by dstat, the program that the thesis read them with.
import { setTimeout as sleep } from 'node:timers/promises';
import { canRun } from '../../../netns/probe.js';
import { openAudience, flowing } from '../audience.js';
import { compiled } from '../../programs.js';
import { rates, usage } from '../process.js';
import type { Context } from '../../section.js';
import { spread, standardError, type Spread } from '../../statistics.js';
import type { Datapath } from '../relays/ours.js';
import type { Stage } from '../stage.js';
import { startEngine } from './engine.js';

export const VIEWERS = 90;
/** As RFC 3550 and the thesis have it. */
const REPORT_S = 5;

export interface Switches {
  /** Nobody but the origin and one viewer in the proxy's place: `origin`. */
  readonly engine: Datapath | 'origin';
  /** Of the whole machine, one figure a second; what else runs on it comes and goes. */
  readonly machine: Spread;
  readonly machineError: number;
  /** A second: of the proxy, and of the process that plays the viewers. */
  readonly process: number;
  readonly viewers: number;
  readonly processCores: number;
}

export interface NinetyResult {
  readonly seconds: number;
  readonly readings: readonly Switches[];
  /** What dstat said while TC was measured once more, and our own reading of the machine then; why there is none. */
  readonly dstat: { readonly csv: string; readonly machine: Spread } | { readonly notRun: string };
}

/** Of a process and of the machine, and of another process whose switches are not the proxy's. */
async function count(pid: number, other: number, seconds: number): Promise<Omit<Switches, 'engine'>> {
  const [from, otherFrom] = [usage(pid), usage(other)];
  const machine: number[] = [];
  for (let i = 0; i < seconds; i++) {
    const before = usage(pid);
    await sleep(1000);
    machine.push(rates(before, usage(pid)).machineSwitches);
  }
  const { switches, cores } = rates(from, usage(pid));
  return {
    ...{ machine: spread(machine), machineError: standardError(machine) },
    ...{ process: switches, viewers: rates(otherFrom, usage(other)).switches, processCores: cores },
  };
}

/** What the machine does for the origin alone: one viewer where the proxy would be, whose packets are dropped by its device. */
async function origin(stage: Stage, seconds: number): Promise<Switches> {
  const { proxy, upstream } = stage.topology;
  const viewer = await proxy.spawn(process.execPath, [
    ...[compiled('tools/load/rtsp-load.js'), stage.source, '--count', upstream.proxy.device],
  ]);
  await viewer.output(/^\{"viewers".*\}$/m, 20_000);
  const counted = await count(viewer.pid, viewer.pid, seconds);
  await viewer.finish(20_000);
  return { engine: 'origin', ...counted };
}

async function one<T>(
  stage: Stage,
  name: Datapath,
  seconds: number,
  meanwhile: () => Promise<T>,
): Promise<{ switches: Switches; told: T }> {
  const engine = await startEngine(stage, name);
  try {
    const audience = await openAudience(stage, engine.url, VIEWERS, { transport: 'udp', report: REPORT_S });
    await flowing(audience);
    const [counted, told] = await Promise.all([
      count(engine.pid, audience.process.pid, seconds),
      meanwhile(),
    ]);
    await audience.leave();
    return { switches: { engine: name, ...counted }, told };
  } finally {
    await engine.stop();
  }
}

export async function measureNinety(stage: Stage, { quick, progress }: Context): Promise<NinetyResult> {
  const seconds = quick ? 1 : 10;
  progress(`context switches at ${VIEWERS} viewers: origin alone`);
  const readings = [await origin(stage, seconds)];
  const missing = canRun('dstat', ['--version']);
  // A quick run counts once: with dstat where there is one.
  for (const name of !quick ? (['xdp', 'tc', 'userspace'] as const) : missing ? (['tc'] as const) : []) {
    progress(`context switches at ${VIEWERS} viewers: ${name}`);
    readings.push((await one(stage, name, seconds, async () => {})).switches);
  }
  if (missing !== undefined) return { seconds, readings, dstat: { notRun: missing } };
  progress('dstat');
  const { switches, told } = await one(stage, 'tc', seconds, () =>
    runDstat(stage, seconds).then(
      (text) => ({ csv: toCsv(text) }),
      (error: Error) => ({ notRun: error.message.split('\n')[0]! }),
    ),
  );
  if (quick) readings.push(switches);
  const dstat = 'csv' in told ? { ...told, machine: switches.machine } : told;
  return { seconds, readings, dstat };
}

/** A line a second: processors, interrupts and context switches, bytes of the proxy's devices. */
function runDstat({ topology: { upstream, downstream, proxy } }: Stage, seconds: number): Promise<string> {
  const devices = `${upstream.proxy.device},${downstream[0]!.proxy.device}`;
  return proxy.run('dstat', [
    ...['--nocolor', '--cpu', '--sys', '--net', '-N', devices],
    ...['1', `${Math.max(2, Math.round(seconds))}`],
  ]);
}

/** What dstat prints, its cells parted by commas instead of spaces and bars: its own --output fails with today's Python. */
export function toCsv(text: string): string {
  const rows = text
    .split('\n')
    .slice(1) // the groups' names
    .map((line) => line.split(/[\s|:]+/).filter(Boolean));
  return rows
    .filter((cells) => cells.length > 1)
    .map((cells) => `${cells.join(',')}\n`)
    .join('');
}

/** Context switches per second, the mean of its lines. Undefined: it told none. */
export function dstatSwitches(csv: string): number | undefined {
  const [head = [], ...rows] = csv.split('\n').map((line) => line.split(','));
  const values = rows.map((cells) => Number(cells[head.indexOf('csw')])).filter(Number.isFinite);
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}
