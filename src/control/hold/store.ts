// SPDX-License-Identifier: Apache-2.0
// Our side of the descriptor store: who started us keeps what is put into it and gives it to the next process
// (sd_notify(3) FDSTORE, sd_listen_fds(3)).
import { closeSync } from 'node:fs';
import type { Manager } from './manager.js';

const FIRST = 3;

export interface DescriptorStore {
  /** Descriptors that a former process has put there, by name; who takes one owns it. */
  take(name: string): number | undefined;
  names(): readonly string[];
  /** The store keeps a duplicate under that name. */
  put(name: string, fd: number): void;
  remove(name: string): void;
  /** What nobody has taken goes, from the store too. */
  dropRest(): void;
}

/** Undefined: nobody keeps descriptors for us. */
export async function openStore(
  manager: Manager | undefined,
  env = process.env,
): Promise<DescriptorStore | undefined> {
  if (!manager?.keeps) return undefined;
  const { closeOnExec } = await import('./rights.js');
  const inherited = inheritedDescriptors(env);
  for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES']) delete env[name];
  for (const fd of inherited.values()) closeOnExec(fd);
  return new MessageStore(inherited, manager);
}

/** LISTEN_PID must be ours; the keeper does not know it before and leaves it out. */
export function inheritedDescriptors(env: NodeJS.ProcessEnv): Map<string, number> {
  const pid = env['LISTEN_PID'];
  const count = Number(env['LISTEN_FDS'] ?? '0');
  if (!Number.isInteger(count) || count < 1 || (pid !== undefined && Number(pid) !== process.pid))
    return new Map();
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  return new Map(Array.from({ length: count }, (_, i) => [names[i] ?? '', FIRST + i]));
}

class MessageStore implements DescriptorStore {
  readonly #inherited: Map<string, number>;
  readonly #manager: Manager;

  constructor(inherited: Map<string, number>, manager: Manager) {
    this.#inherited = inherited;
    this.#manager = manager;
  }

  take(name: string): number | undefined {
    const fd = this.#inherited.get(name);
    this.#inherited.delete(name);
    return fd;
  }

  names(): readonly string[] {
    return [...this.#inherited.keys()];
  }

  /** FDPOLL=0: a UDP socket that an ICMP error came to, and a connection that has ended, are still ours to deal with. */
  put(name: string, fd: number): void {
    this.#manager.tell(`FDSTORE=1\nFDPOLL=0\nFDNAME=${name}`, fd);
  }

  remove(name: string): void {
    this.#manager.tell(`FDSTOREREMOVE=1\nFDNAME=${name}`);
  }

  dropRest(): void {
    for (const [name, fd] of this.#inherited) {
      closeSync(fd);
      this.remove(name);
    }
    this.#inherited.clear();
  }
}
