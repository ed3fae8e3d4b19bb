// SPDX-License-Identifier: Apache-2.0
// The libbpf calls that only the XDP stage needs. Those that wait for the kernel's readers (RCU, tens of milliseconds) run
// on a thread of koffi's, never on the event loop.
import koffi from 'koffi';
import { KernelError } from './kernel-error.js';

const BPF_MAP_TYPE_DEVMAP = 14;
const XDP_FLAGS_UPDATE_IF_NOEXIST = 1;
const XDP_FLAGS_DRV_MODE = 4;
/** struct bpf_devmap_val: device, program. */
const DEVMAP_VALUE_BYTES = 8;

type Async = { async(...args: unknown[]): void };

const lib = koffi.load('libbpf.so.1');
const create = lib.func(
  'int bpf_map_create(int type, const char *name, uint32_t key, uint32_t value, uint32_t entries, void *options)',
) as (...args: unknown[]) => number;
const update = lib.func(
  'int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags)',
) as ((...args: unknown[]) => number) & Async;
const attach = lib.func(
  'int bpf_xdp_attach(int ifindex, int program, uint32_t flags, void *options)',
) as unknown as Async;
const openTracepoint = lib.func('int bpf_raw_tracepoint_open(const char *name, int program)') as (
  ...args: unknown[]
) => number;

function check(result: number, what: string): number {
  if (result < 0) throw KernelError.fromErrno(what, -result);
  return result;
}

function onThread(call: Async, what: string, ...args: unknown[]): Promise<void> {
  return new Promise((resolve, reject) =>
    call.async(...args, (error: Error | null, result: number) => {
      if (error) reject(error);
      else if (result < 0) reject(KernelError.fromErrno(what, -result));
      else resolve();
    }),
  );
}

function u32(...values: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer);
}

/** A frame that is redirected to an entry leaves through this device, after this program (SEC("xdp/devmap")) has seen it. */
export interface DevmapEntry {
  readonly ifindex: number;
  readonly programFd: number;
}

/** A device map with these entries, as a descriptor that is the caller's to close. Throws KernelError. */
export function makeDevmap(entries: readonly DevmapEntry[]): number {
  const fd = check(
    create(BPF_MAP_TYPE_DEVMAP, 'chunk', 4, DEVMAP_VALUE_BYTES, entries.length, null),
    'device map',
  );
  entries.forEach((entry, index) => setDevmapEntry(fd, index, entry));
  return fd;
}

export function setDevmapEntry(fd: number, index: number, { ifindex, programFd }: DevmapEntry): void {
  check(update(fd, u32(index), u32(ifindex, programFd), 0), `device ${ifindex} in a device map`);
}

/** Puts a map into an array of maps. Waits until nobody uses what was there. Rejects with KernelError. */
export function setInnerMap(outerFd: number, index: number, innerFd: number): Promise<void> {
  return onThread(update as Async, 'map in an array of maps', outerFd, u32(index), u32(innerFd), 0);
}

/** Attaches to the driver itself (native mode); another program there, or a driver that cannot: KernelError. */
export function attachXdp(ifindex: number, programFd: number): Promise<void> {
  const flags = XDP_FLAGS_UPDATE_IF_NOEXIST | XDP_FLAGS_DRV_MODE;
  return onThread(attach, `XDP on device ${ifindex}`, ifindex, programFd, flags, null);
}

/** Runs the program at a tracepoint of the kernel until the returned descriptor is closed. Throws KernelError. */
export function attachRawTracepoint(name: string, programFd: number): number {
  return check(openTracepoint(name, programFd), `tracepoint ${name}`);
}
