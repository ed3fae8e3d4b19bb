// SPDX-License-Identifier: Apache-2.0
// Whoever started us and listens (sd_notify(3)): systemd, or our own keeper (keeper.ts), by the same messages. It is told how
// we are, and what to keep for the next process (store.ts).
import type { Log } from '../path/ports.js';

/** How long the other side may take for a message, milliseconds. It sleeps, so it answers at once. */
const TIMEOUT_MS = 500;
/** The keeper's socket, already connected. */
export const KEEPER_VARIABLE = 'RTSP_FANOUT_KEEPER';

export interface Manager {
  readonly name: 'systemd' | 'keeper';
  /** It keeps descriptors for us. */
  readonly keeps: boolean;
  /** `READY=1` and the like, with a descriptor where one is given. Never throws. */
  tell(text: string, descriptor?: number): void;
}

/** Who keeps descriptors for us. FDSTORE says how many systemd does (since 254; before, the unit must). */
export function holderIn(env: NodeJS.ProcessEnv): Manager['name'] | undefined {
  if (env[KEEPER_VARIABLE] !== undefined) return 'keeper';
  return Number(env['FDSTORE']) > 0 && env['NOTIFY_SOCKET'] ? 'systemd' : undefined;
}

/** Undefined: nobody listens. holderIn() does not see anybody any more afterwards. */
export async function openManager(log: Log, env = process.env): Promise<Manager | undefined> {
  const { [KEEPER_VARIABLE]: keeper, NOTIFY_SOCKET: socket } = env;
  const keeps = holderIn(env) !== undefined;
  for (const name of [KEEPER_VARIABLE, 'NOTIFY_SOCKET']) delete env[name]; // not for children of ours
  if (keeper === undefined && !socket) return undefined;
  const name = keeper === undefined ? 'systemd' : 'keeper';
  try {
    const rights = await import('./rights.js'); // only here: without koffi on this machine it cannot be loaded
    const fd = keeper === undefined ? rights.connectDatagram(socket!, TIMEOUT_MS) : Number(keeper);
    rights.closeOnExec(fd);
    const send: Send = (text, descriptor) => rights.sendWithRights(fd, text, descriptor);
    return { name, keeps, tell: untilItFails(send, (error) => giveUp({ name, keeps }, error, log)) };
  } catch (error) {
    if (keeps) throw error;
    giveUp({ name, keeps }, error as Error, log);
    return undefined;
  }
}

type Send = (text: string, descriptor?: number) => void;

/** Who does not listen any more is given up: waiting for it each time would cost more than it is worth. */
function untilItFails(send: Send, failed: (error: Error) => void): Send {
  let listens = true;
  return (text, descriptor) => {
    if (!listens) return;
    try {
      send(text, descriptor);
    } catch (error) {
      listens = false;
      failed(error as Error);
    }
  };
}

function giveUp({ name, keeps }: Omit<Manager, 'tell'>, { message: why }: Error, log: Log): void {
  const text = keeps
    ? 'nobody holds our connections any more: viewers will not survive the end of this process'
    : 'who started us does not hear how we are';
  log.error({ heldBy: name, why }, text);
}
