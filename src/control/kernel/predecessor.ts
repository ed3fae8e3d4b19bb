// SPDX-License-Identifier: Apache-2.0
// The maps of a proxy that was killed, for the next one to go on with: found through the programs that it left on devices,
// taken only when this program means the same by every byte of them.
import { closeSync } from 'node:fs';
import {
  Cached,
  Global,
  Listen,
  LockedLayering,
  LockedReception,
  Parked,
  Stream,
  Ticket,
  Version,
  Viewer,
} from './abi.gen.js';
import { KernelError } from './kernel-error.js';
import { attachedPrograms, isAlive } from './leftovers.js';
import { mapShape, mapsOfProgram } from './libbpf.js';
import { portOfPrivateDevice } from './private-veth.js';
import { shareMap } from './shared-memory.js';

/** Maps that attached programs hold, and the bytes of their values. `pages` is the command program's alone, and is made
 * anew from `streams`; `devices` is filled by the XDP stage anew. */
const VALUE_BYTES: Readonly<Record<string, number>> = {
  listen: Listen.SIZE,
  streams: Stream.SIZE,
  viewers: Viewer.SIZE,
  tickets: Ticket.SIZE,
  parked: Parked.SIZE,
  reception: LockedReception.SIZE,
  layerings: LockedLayering.SIZE,
  global: Global.SIZE,
  cache: Cached.SIZE,
};

export interface Device {
  readonly ifindex: number;
  readonly name: string;
}

export interface Predecessor {
  /** By name; close() when they have been shared. */
  readonly maps: ReadonlyMap<string, number>;
  /** Devices of this host, not private ones, that carry its entrance. */
  readonly devices: readonly Device[];
  close(): void;
}

/** Undefined: nothing of one is there. Throws KernelError when it is alive, or is not to be taken over: why. */
export async function findPredecessor(port: number): Promise<Predecessor | undefined> {
  const programs = await attachedPrograms(port);
  if (programs.length === 0) return undefined;
  const maps = new Map<string, number>();
  const close = () => maps.forEach((fd) => closeSync(fd));
  try {
    for (const { program } of programs)
      for (const [name, fd] of mapsOfProgram(program)) {
        if (maps.has(name) || VALUE_BYTES[name] === undefined) closeSync(fd);
        else maps.set(name, fd);
      }
    check(port, maps);
  } catch (error) {
    close();
    throw error;
  }
  const devices = programs.filter(({ device }) => portOfPrivateDevice(device.name) === undefined);
  return { maps, devices: devices.map(({ device }) => device), close };
}

function check(port: number, maps: ReadonlyMap<string, number>): void {
  for (const [name, bytes] of Object.entries(VALUE_BYTES)) {
    const fd = maps.get(name);
    if (fd === undefined) throw new KernelError(`map ${name} of the former process is gone`);
    const { valueBytes } = mapShape(fd);
    if (valueBytes !== bytes)
      throw new KernelError(
        `values of map ${name} have ${valueBytes} bytes there and ${bytes} here: another version`,
      );
  }
  const memory = shareMap(maps.get('global')!, Global.SIZE);
  try {
    const version = memory.view.getUint32(Global.agreed, true);
    if (version !== Version.ABI_VERSION)
      throw new KernelError(`its kernel programs are of ABI ${version}, ours of ${Version.ABI_VERSION}`);
    if (isAlive(memory.view))
      throw new KernelError(
        `the proxy with process id ${memory.view.getUint32(Global.ownerPid, true)} already serves port ${port}`,
      );
  } finally {
    memory.close();
  }
}
