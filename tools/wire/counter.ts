// SPDX-License-Identifier: Apache-2.0
// The measuring programs of this folder as seen from a test: where they are, and what they print, typed.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
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

/** Path of `burst`, `counter` or `spin`; builds them when they are missing or old. @throws make's output. */
export function wireTool(name: 'burst' | 'counter' | 'spin'): string {
  if (!built) execFileSync('make', ['-s', '-C', 'tools/wire'], { encoding: 'utf8', stdio: 'pipe' });
  built = true;
  return `build/wire/${name}`;
}

/** The counting program at work on one device. */
export class Counter {
  static async attach(namespace: Namespace, device: string, ports: string): Promise<Counter> {
    return Counter.#ready(await namespace.spawn(wireTool('counter'), ['--device', device, '--ports', ports]));
  }

  /** In this process's own network namespace. */
  static async here(device: string, ports: string): Promise<Counter> {
    return Counter.#ready(await Child.start(wireTool('counter'), ['--device', device, '--ports', ports]));
  }

  static async #ready(child: Child): Promise<Counter> {
    await child.output(/^ready$/m);
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
