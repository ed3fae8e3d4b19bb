// SPDX-License-Identifier: Apache-2.0
// Our side of the descriptor store: who started us keeps what is put into it and gives it to the next process
// (sd_notify(3) FDSTORE, sd_listen_fds(3)). That is systemd, or our own keeper (keeper.ts), by the same messages.
import { closeSync } from 'node:fs';
import type { Log } from '../path/ports.js';

/** How long the other side may take for a message, milliseconds. It sleeps, so it answers at once. */
const TIMEOUT_MS = 500;
const FIRST = 3;
/** The keeper's socket, already connected. */
export const KEEPER_VARIABLE = 'RTSP_FANOUT_KEEPER';

export interface DescriptorStore {
  readonly heldBy: 'systemd' | 'keeper';
  /** Descriptors that a former process has put there, by name; who takes one owns it. */
  take(name: string): number | undefined;
  names(): readonly string[];
  /** The store keeps a duplicate under that name. */
  put(name: string, fd: number): void;
  remove(name: string): void;
  /** Tells how we are (sd_notify(3)): `READY=1`. */
  notify(state: string): void;
  /** What nobody has taken goes, from the store too. */
  dropRest(): void;
}

/** Undefined: nobody keeps descriptors for us. FDSTORE says how many systemd keeps (since 254; before, the unit must). */
export function holderIn(env: NodeJS.ProcessEnv): DescriptorStore['heldBy'] | undefined {
  if (env[KEEPER_VARIABLE] !== undefined) return 'keeper';
  return Number(env['FDSTORE']) > 0 && env['NOTIFY_SOCKET'] !== undefined ? 'systemd' : undefined;
}

/** Undefined as holderIn(), which does not see them any more afterwards. */
export async function openStore(log: Log, env = process.env): Promise<DescriptorStore | undefined> {
  const heldBy = holderIn(env);
  if (!heldBy) return undefined;
  const { [KEEPER_VARIABLE]: keeper, NOTIFY_SOCKET: socket } = env;
  const rights = await import('./rights.js'); // only here: without koffi on this machine it cannot be loaded
  const inherited = inheritedDescriptors(env);
  for (const name of [KEEPER_VARIABLE, 'NOTIFY_SOCKET', 'LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES'])
    delete env[name];
  for (const fd of inherited.values()) rights.closeOnExec(fd);
  const fd = heldBy === 'keeper' ? Number(keeper) : rights.connectDatagram(socket!, TIMEOUT_MS);
  rights.closeOnExec(fd);
  return new MessageStore(heldBy, inherited, log, (text, descriptor) =>
    rights.sendWithRights(fd, text, descriptor),
  );
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

type Send = (text: string, descriptor?: number) => void;

class MessageStore implements DescriptorStore {
  readonly heldBy: 'systemd' | 'keeper';
  readonly #inherited: Map<string, number>;
  readonly #log: Log;
  #send: Send | undefined;

  constructor(heldBy: 'systemd' | 'keeper', inherited: Map<string, number>, log: Log, send: Send) {
    this.heldBy = heldBy;
    this.#inherited = inherited;
    this.#log = log;
    this.#send = send;
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
    this.#tell(`FDSTORE=1\nFDPOLL=0\nFDNAME=${name}`, fd);
  }

  remove(name: string): void {
    this.#tell(`FDSTOREREMOVE=1\nFDNAME=${name}`);
  }

  notify(state: string): void {
    this.#tell(state);
  }

  dropRest(): void {
    for (const [name, fd] of this.#inherited) {
      closeSync(fd);
      this.remove(name);
    }
    this.#inherited.clear();
  }

  /** Who does not listen any more is given up: waiting for it each time would cost more than it is worth. */
  #tell(text: string, descriptor?: number): void {
    try {
      this.#send?.(text, descriptor);
    } catch (error) {
      this.#send = undefined;
      this.#log.error(
        { heldBy: this.heldBy, why: (error as Error).message },
        'nobody holds our connections any more: viewers will not survive the end of this process',
      );
    }
  }
}
