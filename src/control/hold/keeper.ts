// SPDX-License-Identifier: Apache-2.0
// --keep: a parent process that holds the proxy's descriptors, starts it, and starts it again when it dies. It speaks the
// other side of manager.ts and store.ts (what systemd does for a service), tells systemd in turn, does nothing else, and sleeps.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import koffi from 'koffi';
import type { Log } from '../path/ports.js';
import { UPGRADE_EXIT } from './exit-code.js';
import { STABLE_MS } from './fault.js';
import { KEEPER_VARIABLE, openManager, type Manager } from './manager.js';
import { datagramPair, receiveWithRights } from './rights.js';

const FIRST_DELAY_MS = 20;
const MOST_DELAY_MS = 5000;
/** So many short lives in a row: what was handed over may be why. The next begins with nothing. */
const LIVES_WITH_INHERITANCE = 4;
const MOST_SHORT_LIVES = 12;
/** Descriptors of 16 384 viewers and 1024 streams fit. */
const MOST_DESCRIPTORS = 30_000;
const SEND_TIMEOUT_MS = 500;

export interface KeeperOptions {
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]];
  readonly log: Log;
  /** SIGHUP does not end the proxy: it reads its configuration again. */
  readonly hangupReloads: boolean;
}

/** Resolves with the exit code for this process: the proxy has ended as it was told to, or cannot be started. */
export async function keep(options: KeeperOptions): Promise<number> {
  // Of systemd only is wanted that it hears how the proxy is: it believes the process that it has started, and no child.
  const manager = await openManager(options.log, { NOTIFY_SOCKET: process.env['NOTIFY_SOCKET'] });
  delete process.env['NOTIFY_SOCKET'];
  return new Promise((resolve) => new Keeper(options, manager, resolve).start());
}

class Keeper {
  readonly #options: KeeperOptions;
  readonly #manager: Manager | undefined;
  readonly #done: (code: number) => void;
  readonly #ours: number;
  readonly #theirs: number;
  readonly #held = new Map<string, number>();
  #child: ChildProcess | undefined;
  #startedMs = 0;
  #ready = false;
  #wasReady = false;
  #ending = false;
  #shortLives = 0;

  constructor(options: KeeperOptions, manager: Manager | undefined, done: (code: number) => void) {
    this.#options = options;
    this.#manager = manager;
    this.#done = done;
    [this.#ours, this.#theirs] = datagramPair(SEND_TIMEOUT_MS);
    const polling = koffi.node.poll(this.#ours, { readable: true }, () => this.#receive());
    process.on('exit', () => polling.close()); // koffi aborts when a handle is still polled then
    const { hangupReloads } = options;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => this.#end(signal));
    process.on('SIGHUP', () => (hangupReloads ? this.#child?.kill('SIGHUP') : this.#end('SIGHUP')));
    process.on('SIGUSR2', () => this.#child?.kill('SIGUSR2'));
  }

  start(): void {
    const [program, ...args] = this.#options.command;
    const held = [...this.#held];
    const env = {
      ...process.env,
      [KEEPER_VARIABLE]: `${3 + held.length}`,
      LISTEN_FDS: `${held.length}`,
      LISTEN_FDNAMES: held.map(([name]) => name).join(':'),
    };
    this.#ready = false;
    this.#startedMs = performance.now();
    const stdio = ['inherit', 'inherit', 'inherit', ...held.map(([, fd]) => fd), this.#theirs] as const;
    this.#child = spawn(program, args, { stdio: [...stdio], env });
    this.#child.on('error', (error) => this.#ended(1, error.message));
    this.#child.on('exit', (code, signal) =>
      this.#ended(code ?? 128 + constants.signals[signal!], signal ?? `exit code ${code}`),
    );
  }

  #end(signal: NodeJS.Signals): void {
    this.#ending = true;
    this.#manager?.tell('STOPPING=1');
    if (this.#child) this.#child.kill(signal);
    else this.#done(0); // between two lives
  }

  #receive(): void {
    for (let got = receiveWithRights(this.#ours); got; got = receiveWithRights(this.#ours)) {
      const fields = new Map(
        got.message.split('\n').map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)]),
      );
      const name = fields.get('FDNAME') ?? '';
      if (fields.get('READY') === '1') {
        this.#ready = this.#wasReady = true;
        this.#manager?.tell('READY=1');
      }
      if (fields.get('FDSTOREREMOVE') === '1') this.#drop(name);
      if (got.descriptor === undefined) continue;
      if (fields.get('FDSTORE') === '1') this.#store(name, got.descriptor);
      else closeSync(got.descriptor);
    }
  }

  #store(name: string, fd: number): void {
    this.#drop(name);
    if (this.#held.size < MOST_DESCRIPTORS && name !== '' && !name.includes(':')) this.#held.set(name, fd);
    else closeSync(fd);
  }

  #drop(name: string): void {
    const fd = this.#held.get(name);
    if (fd === undefined) return;
    closeSync(fd);
    this.#held.delete(name);
  }

  #ended(code: number, how: string): void {
    if (!this.#child) return;
    this.#child = undefined;
    this.#receive(); // what it sent before it died
    if (this.#ending || code === 0 || !this.#wasReady) {
      this.#done(code);
      return;
    }
    if (code === UPGRADE_EXIT && this.#ready) {
      this.start();
      return;
    }
    const lived = Math.round(performance.now() - this.#startedMs);
    this.#shortLives = lived < STABLE_MS ? this.#shortLives + 1 : 0;
    if (this.#shortLives > MOST_SHORT_LIVES) {
      this.#options.log.error({ how, lives: this.#shortLives }, 'the proxy ends again and again: given up');
      this.#done(1);
      return;
    }
    if (this.#shortLives === LIVES_WITH_INHERITANCE) {
      this.#options.log.error(
        { descriptors: this.#held.size },
        'the proxy ends again and again: next without viewers',
      );
      for (const name of [...this.#held.keys()]) this.#drop(name);
    }
    // The first time at once: viewers wait.
    const delay = this.#shortLives < 2 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** this.#shortLives, MOST_DELAY_MS);
    const { log } = this.#options;
    log.error(
      { how, livedMs: lived, held: this.#held.size, delayMs: delay },
      'the proxy has died: starting it again',
    );
    setTimeout(() => {
      if (!this.#ending) this.start();
    }, delay);
  }
}
