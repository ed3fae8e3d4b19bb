// SPDX-License-Identifier: Apache-2.0
// The measuring programs of this folder as seen from a test: where they are, and what they print, typed.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missingCapabilities } from '../../src/control/kernel/capabilities.js';
import { Child } from '../netns/child.js';
import { canRun } from '../netns/probe.js';
import type { Namespace } from '../netns/topology.js';
import { until } from '../netns/wait.js';

/** One line per receiver and source, as counter.c prints it. */
export interface CounterRow {
  readonly address: string;
  readonly port: number;
  readonly ssrc: number;
  readonly packets: number;
  readonly bytes: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  /** Too late to tell whether it is a duplicate. */
  readonly old: number;
  /** How often this receiver was the first of all. */
  readonly first: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

export interface Counted {
  readonly rtp: number;
  readonly rtcp: number;
  readonly other: number;
  readonly aggregated: number;
  readonly overflow: number;
  readonly rows: readonly CounterRow[];
}

/** A program of this folder cannot be built, or cannot do its work: one sentence that says why. */
export class MeasuringError extends Error {
  constructor(
    message: string,
    /** 2: what was asked for is wrong. */
    readonly exitCode: 1 | 2 = 1,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'MeasuringError';
  }
}

/** This file runs from dist/tools/wire, whatever the working directory is. */
const projectFolder = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const BUILT = projectFolder('build/wire');
let built = false;

/** Undefined when the tools can be built here, else what is missing. That they then do build is a test's business. */
export function canMeasure(): string | undefined {
  return (
    canRun('gcc', ['--version']) ??
    canRun('clang', ['--version']) ??
    canRun('make', ['--version']) ??
    (existsSync('/usr/include/bpf/libbpf.h') ? undefined : 'libbpf-dev is not installed')
  );
}

/** Path of `burst`, `counter` or `spin`; builds them when they are missing or old. @throws MeasuringError; make's output is its cause. */
export function wireTool(name: 'burst' | 'counter' | 'spin'): string {
  if (!built) build();
  built = true;
  return join(BUILT, name);
}

function build(): void {
  const folder = projectFolder('tools/wire');
  try {
    execFileSync('make', ['-s', '-C', folder, `OUT=${BUILT}`], { encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    const [said] = (error as { stderr?: string }).stderr?.split('\n') ?? [];
    throw new MeasuringError(`${folder} cannot be built: ${canMeasure() ?? said}`, 1, { cause: error });
  }
}

/** Path of the counting program, which this process may use. @throws MeasuringError. */
export function ownCounter(): string {
  const missing = missingCapabilities();
  if (missing.length > 0)
    throw new MeasuringError(`counting needs root: this user is not and lacks ${missing.join(' and ')}`);
  return wireTool('counter');
}

/** The counting program at work on one device. */
export class Counter {
  static async attach(namespace: Namespace, device: string, ports: string): Promise<Counter> {
    return Counter.#ready(await namespace.spawn(wireTool('counter'), ['--device', device, '--ports', ports]));
  }

  /** In this process's own network namespace. @throws MeasuringError. */
  static async here(device: string, ports: string): Promise<Counter> {
    return Counter.#ready(await Child.start(ownCounter(), ['--device', device, '--ports', ports]));
  }

  static async #ready(child: Child): Promise<Counter> {
    await child.output(/^ready$/m).catch(async (error: unknown) => {
      if (child.running) throw error;
      const { code } = await child.exited;
      const said = child.stderr.trim().split('\n').at(-1)!;
      throw new MeasuringError(said.replace(/^counter: /, ''), code === 2 ? 2 : 1, { cause: error });
    });
    return new Counter(child);
  }

  private constructor(readonly child: Child) {}

  async read(): Promise<Counted> {
    this.child.stdout = ''; // thousands of receivers make long lines
    this.child.write('\n');
    await until(
      'a line from the counter',
      () => this.child.stdout.endsWith('\n'),
      5000,
      () => this.child.describe(),
    );
    return this.#latest();
  }

  /** Reads until nothing new arrives for two readings in a row. */
  async settled(): Promise<Counted> {
    let last = await this.read();
    let same = 0;
    return until('the counter to settle', async () => {
      const next = await this.read();
      same = next.rtp === last.rtp ? same + 1 : 0;
      last = next;
      return same >= 3 && next;
    });
  }

  /** Detaches and returns the last reading. */
  async detach(): Promise<Counted> {
    await this.child.finish();
    return this.#latest();
  }

  #latest(): Counted {
    return JSON.parse(this.child.stdout.trimEnd().split('\n').at(-1)!) as Counted;
  }
}
