// SPDX-License-Identifier: Apache-2.0
// What the whole machine does, by samples of all cores' stacks (Linux perf): with the processor's cycle counter where there
// is one, with the kernel's cpu-clock elsewhere. Idle time is no sample.
import { execFileSync, spawnSync } from 'node:child_process';
import { Child } from '../../../netns/child.js';

/** Innermost first; kernel's and program's alike. */
export type Stack = readonly string[];

export interface Sampler {
  readonly event: 'cycles' | 'cpu-clock';
  /** From one sample of a busy core to the next: cycles, or ns. */
  readonly period: number;
  /** Samples of a busy core in a second. */
  readonly perSecond: number;
}

/** Of the event, so that a core is sampled some thousand times a second. */
const PERIODS = { cycles: 1_000_000, 'cpu-clock': 250_000 } as const;
const MAX_TEXT = 2 ** 29;
const DATA = 'build/bench/samples.data';
/** The loop of a core that has nothing to do. */
const IDLE = /^(?:cpu_startup_entry|do_idle|cpuidle_|default_idle|intel_idle|acpi_idle|poll_idle)/;
/** Work that came while a core was idle is no idleness, though the idle loop is beneath it. */
const INTERRUPT =
  /^(?:asm_|irq_exit|__irq_exit|do_softirq|handle_softirqs|__do_softirq|sysvec_|common_interrupt)/;
/** Network packets are worked on in whatever program is interrupted. */
const NETWORK = /^net_[rt]x_action/;

/** What can be sampled with here, the better first; undefined: nothing. */
export function findSampler(): Sampler | undefined {
  for (const event of ['cycles', 'cpu-clock'] as const) {
    const second = countOfASecond(event);
    if (second !== undefined && second > 0)
      return { event, period: PERIODS[event], perSecond: second / PERIODS[event] };
  }
  return undefined;
}

/** Of the event, while a core is busy for a second of its time: what it counts differs from processor to processor. */
function countOfASecond(event: Sampler['event']): number | undefined {
  const { status, stderr } = spawnSync(
    'perf',
    [
      'stat',
      '-x',
      ',',
      '-e',
      `${event},task-clock`,
      process.execPath,
      '-e',
      'for (let i = 0; i < 1e8; i++);',
    ],
    { encoding: 'utf8' },
  );
  return status === 0 ? parseCounts(stderr, event) : undefined;
}

/** Of `perf stat -x , -e EVENT,task-clock`: value, unit, event; clocks in ms. */
export function parseCounts(text: string, event: Sampler['event']): number | undefined {
  const value = (name: string) =>
    Number(
      text
        .split('\n')
        .map((line) => line.split(','))
        .find((fields) => fields[2] === name)?.[0],
    );
  const seconds = value('task-clock') / 1000;
  const count = event === 'cpu-clock' ? value(event) * 1e6 : value(event);
  return seconds > 0 && Number.isFinite(count) ? count / seconds : undefined;
}

/** For so long, of all cores: what `programs` do, and the kernel's packets and interrupts. @throws perf's complaint. */
export async function sample(
  { event, period }: Sampler,
  seconds: number,
  programs: readonly string[],
): Promise<Stack[]> {
  const record = await Child.start('perf', [
    ...['record', '--quiet', '--all-cpus', '-g', '-e', event, '-c', `${period}`, '-o', DATA],
    ...['--', 'sleep', `${seconds}`],
  ]);
  const { code } = await record.exited;
  if (code !== 0) throw new Error(record.describe());
  const text = execFileSync('perf', ['script', '-i', DATA, '-F', 'comm,ip,sym'], {
    encoding: 'utf8',
    maxBuffer: MAX_TEXT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return parseStacks(text, programs);
}

/** Of `perf script -F comm,ip,sym`: a line of the program's name, a line for each frame, an empty line. */
export function parseStacks(text: string, programs: readonly string[]): Stack[] {
  return text.split('\n\n').flatMap((one) => {
    const [program = '', ...lines] = one.split('\n').filter(Boolean);
    const frames = lines.map((line) => line.trim().split(' ')[1] ?? '');
    return counts(program.trim(), frames, programs) ? [frames] : [];
  });
}

function counts(program: string, frames: Stack, programs: readonly string[]): boolean {
  if (frames.length === 0) return false;
  if (program === 'swapper') return !isIdle(frames);
  return (
    programs.includes(program) ||
    program.startsWith('ksoftirqd') ||
    frames.some((frame) => NETWORK.test(frame))
  );
}

function isIdle(frames: Stack): boolean {
  const at = frames.findIndex((frame) => IDLE.test(frame));
  return at >= 0 && !frames.slice(0, at).some((frame) => INTERRUPT.test(frame));
}
