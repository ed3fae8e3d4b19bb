// SPDX-License-Identifier: Apache-2.0
// What a proxy that was killed left in the kernel of this network namespace: its programs stay attached to devices and go
// on copying until their heartbeat is too old. Found by the names of its private devices, listed, and removed.
import { execFile } from 'node:child_process';
import { closeSync } from 'node:fs';
import { promisify } from 'node:util';
import { Global, Limit, Stream, StreamState, Viewer, ViewerState } from './abi.gen.js';
import { addressText, endpointText } from '../state/address.js';
import { missingCapabilities } from './capabilities.js';
import { KernelError } from './kernel-error.js';
import { mapsOfProgram, tcDetach, tcQuery } from './libbpf.js';
import { portOfPrivateDevice, removeVeth } from './private-veth.js';
import { shareMap } from './shared-memory.js';
import { placeOn } from './tc-filters.js';

const run = promisify(execFile);
/** A living proxy writes its heartbeat every second. */
const ALIVE_NS = 5_000_000_000n;

export interface Leftover {
  /** The listen port of the proxy that made it. */
  readonly port: number;
  readonly pid: number;
  /** Whether that process still writes its heartbeat: then it is no leftover. */
  readonly alive: boolean;
  /** Seconds since its last heartbeat; the kernel stops sending after 60. */
  readonly silentSeconds: number;
  /** Devices that carry its programs, and its private ones. */
  readonly devices: readonly string[];
  readonly streams: number;
  /** Who still gets copies: `address:port`. */
  readonly viewers: readonly string[];
}

interface Device {
  readonly ifindex: number;
  readonly ifname: string;
}

async function allDevices(): Promise<Device[]> {
  return JSON.parse((await run('ip', ['-json', 'link', 'show'])).stdout) as Device[];
}

/** Everything that proxies, living ones included, have in the kernel of this namespace. Needs root; throws KernelError. */
export async function listKernelState(): Promise<Leftover[]> {
  const devices = await allDevices();
  const ports = new Set(devices.flatMap(({ ifname }) => portOfPrivateDevice(ifname) ?? []));
  return [...ports].map((port) => describe(port, devices));
}

/** The programs of the proxy on that port, by the devices that carry them. */
export async function attachedPrograms(
  port: number,
): Promise<{ readonly device: { ifindex: number; name: string }; readonly program: number }[]> {
  return (await allDevices()).flatMap(({ ifindex, ifname: name }) => {
    const program = tcQuery(placeOn(ifindex, port));
    return program === undefined ? [] : [{ device: { ifindex, name }, program }];
  });
}

export async function listLeftovers(): Promise<Leftover[]> {
  return (await listKernelState()).filter((state) => !state.alive);
}

/** Removes what killed proxies left, of one port or of all, and returns it. Throws KernelError: it may not (EPERM), or cannot.
 * A living proxy's is not touched: asked for its port, it throws KernelError, too. */
export async function removeLeftovers(port?: number): Promise<Leftover[]> {
  if (missingCapabilities().includes('CAP_NET_ADMIN'))
    throw new KernelError('removing what is left in the kernel needs CAP_NET_ADMIN', 'EPERM');
  const removed: Leftover[] = [];
  for (const state of await listKernelState()) {
    if (port !== undefined && state.port !== port) continue;
    if (state.alive && port === undefined) continue;
    if (state.alive)
      throw new KernelError(`the proxy with process id ${state.pid} already serves port ${port}`);
    for (const device of await allDevices())
      if (state.devices.includes(device.ifname)) tcDetach(placeOn(device.ifindex, state.port));
    for (const use of ['queue', 'local', 'xdp'] as const) await removeVeth(state.port, use);
    removed.push(state);
  }
  return removed;
}

/** A proxy that was killed while it closed may have left no program, but devices. */
function describe(port: number, devices: readonly Device[]): Leftover {
  const carrying = devices.filter((device) => tcQuery(placeOn(device.ifindex, port)) !== undefined);
  const program = carrying
    .map((device) => tcQuery(placeOn(device.ifindex, port)))
    .find((id) => id !== undefined);
  const nothing = { pid: 0, alive: false, silentSeconds: 0, streams: 0, viewers: [] };
  const state = program === undefined ? nothing : readMaps(program);
  const theirs = devices.filter(
    (device) => carrying.includes(device) || portOfPrivateDevice(device.ifname) === port,
  );
  return { port, ...state, devices: theirs.map((device) => device.ifname) };
}

function readMaps(program: number): Omit<Leftover, 'port' | 'devices'> {
  const maps = mapsOfProgram(program);
  try {
    const read = <T>(name: string, bytes: number, use: (view: DataView) => T): T => {
      const memory = shareMap(maps.get(name)!, bytes);
      try {
        return use(memory.view);
      } finally {
        memory.close();
      }
    };
    return {
      ...read('global', Global.SIZE, owner),
      streams: read('streams', Limit.MAX_STREAMS * Stream.SIZE, openStreams),
      viewers: read('viewers', Limit.MAX_PAGES * Limit.PAGE_SLOTS * Viewer.SIZE, activeViewers),
    };
  } finally {
    for (const fd of maps.values()) closeSync(fd);
  }
}

function owner(global: DataView): Pick<Leftover, 'pid' | 'alive' | 'silentSeconds'> {
  const silent = process.hrtime.bigint() - global.getBigUint64(Global.heartbeatNs, true);
  const pid = global.getUint32(Global.ownerPid, true);
  return { pid, alive: silent < ALIVE_NS && isRunning(pid), silentSeconds: Number(silent / 1_000_000_000n) };
}

/** Whether the process that writes this heartbeat lives. */
export function isAlive(global: DataView): boolean {
  return owner(global).alive;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function openStreams(streams: DataView): number {
  let open = 0;
  for (let i = 0; i < Limit.MAX_STREAMS; i++)
    if (streams.getUint32(i * Stream.SIZE + Stream.state, true) === StreamState.STREAM_OPEN) open++;
  return open;
}

function activeViewers(viewers: DataView): string[] {
  const active: string[] = [];
  for (let at = 0; at < viewers.byteLength; at += Viewer.SIZE) {
    if (viewers.getUint32(at + Viewer.state, true) === ViewerState.VIEWER_FREE) continue;
    const address = addressText(new Uint8Array(viewers.buffer, viewers.byteOffset + at + Viewer.address, 16));
    active.push(endpointText(address, viewers.getUint16(at + Viewer.port, false)));
  }
  return active;
}
