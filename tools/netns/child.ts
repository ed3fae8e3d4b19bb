// SPDX-License-Identifier: Apache-2.0
// A child process of a test: its output is kept, it can be waited for, and it never outlives this process.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { onProcessExit } from './on-exit.js';
import { until, within } from './wait.js';

/** Output kept of each child, characters; the oldest goes first. */
const MAX_OUTPUT = 8 * 1024 * 1024;

/** After its end, how long a child's output may take to be read, milliseconds. */
const DRAIN_MS = 500;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export class Child {
  readonly command: string;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  stdout = '';
  stderr = '';
  #exit: Exit | undefined;
  readonly #process: ChildProcess;
  readonly #forget: () => void;

  /** @throws when the program cannot be started. */
  static async start(command: string, args: readonly string[], options: StartOptions = {}): Promise<Child> {
    const child = spawn(command, args, {
      cwd: options.cwd ?? process.cwd(),
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    return new Child([command, ...args].join(' '), child);
  }

  private constructor(command: string, child: ChildProcess) {
    this.command = command;
    this.pid = child.pid!;
    this.#process = child;
    this.#forget = onProcessExit(() => child.kill('SIGKILL'));
    child.stdout!.setEncoding('utf8').on('data', (s: string) => {
      this.stdout = (this.stdout + s).slice(-MAX_OUTPUT);
    });
    child.stderr!.setEncoding('utf8').on('data', (s: string) => {
      this.stderr = (this.stderr + s).slice(-MAX_OUTPUT);
    });
    // A child that is gone closes its pipe; what was still to be written is of no use to anybody.
    child.stdin!.on('error', () => {});
    this.exited = new Promise((resolve) => {
      const ended = (code: number | null, signal: NodeJS.Signals | null) => {
        this.#forget();
        this.#exit ??= { code, signal };
        resolve(this.#exit);
      };
      // `close` comes when all output has been read; a grandchild that holds the pipes open must not keep us.
      child.once('close', ended).once('exit', (code, signal) => setTimeout(ended, DRAIN_MS, code, signal));
    });
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  write(text: string): void {
    this.#process.stdin!.write(text);
  }

  /** The first match in what the child has written so far or will write; fails at once when it ends without. */
  async output(pattern: RegExp, timeoutMs = 10_000): Promise<RegExpExecArray> {
    const find = () => pattern.exec(this.stdout) ?? pattern.exec(this.stderr) ?? undefined;
    return until(
      `${pattern} from: ${this.command}`,
      () => {
        const ended = !this.running;
        const match = find();
        if (!match && ended) throw new Error(`ended without ${pattern}\n${this.describe()}`);
        return match;
      },
      timeoutMs,
      () => this.describe(),
    );
  }

  /** Sends the signal and waits for the end; SIGKILL when it takes longer than `graceMs`. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 5000): Promise<Exit> {
    if (this.running) this.#process.kill(signal);
    try {
      return await within(`the end of: ${this.command}`, this.exited, graceMs);
    } catch (error) {
      this.#process.kill('SIGKILL');
      await this.exited;
      throw error;
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Closes its standard input and waits for it to end by itself. */
  async finish(timeoutMs = 10_000): Promise<Exit> {
    this.#process.stdin!.end();
    return within(`the end of: ${this.describe()}`, this.exited, timeoutMs);
  }

  /** For error texts: command, state, the end of its output. */
  describe(): string {
    const state = this.#exit ? `ended with ${this.#exit.signal ?? this.#exit.code}` : 'running';
    return `${this.command} (pid ${this.pid}, ${state})\n${(this.stdout + this.stderr).slice(-4000)}`;
  }
}

/** Runs to the end, 60 s unless told otherwise. @throws with its output when it does not exit with 0. */
export async function run(
  command: string,
  args: readonly string[],
  options: StartOptions & { input?: string; timeoutMs?: number } = {},
): Promise<string> {
  const child = await Child.start(command, args, options);
  if (options.input !== undefined) child.write(options.input);
  const exit = await child.finish(options.timeoutMs ?? 60_000).catch(async (error: unknown) => {
    await child.stop('SIGKILL');
    throw error;
  });
  if (exit.code !== 0) throw new Error(`failed: ${child.describe()}`);
  return child.stdout;
}

/** Resolves when a socket listens on the TCP port in the network namespace of that process. */
export async function tcpListening(pid: number, port: number, timeoutMs = 10_000): Promise<void> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  const LISTEN = '0A';
  await until(
    `a listener on TCP port ${port} beside pid ${pid}`,
    () =>
      ['tcp', 'tcp6'].some((table) =>
        readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
          .split('\n')
          .some((line) => line.slice(0, 60).includes(wanted) && line.trim().split(/\s+/)[3] === LISTEN),
      ),
    timeoutMs,
  );
}

export interface Work {
  /** That its threads have run, as the scheduler counts it: not in ticks. */
  readonly seconds: number;
  /** How often they have gone to sleep: once for each time that something woke them. */
  readonly sleeps: number;
}

/** Of a process and its threads so far; of those that have ended nothing is known. */
export function workOf(pid: number): Work {
  let [seconds, sleeps] = [0, 0];
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const read = (file: string) => readFileSync(`/proc/${pid}/task/${thread}/${file}`, 'utf8');
    seconds += Number(read('schedstat').split(' ')[0]) / 1e9;
    sleeps += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(read('status'))![1]);
  }
  return { seconds, sleeps };
}
