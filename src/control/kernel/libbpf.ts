// SPDX-License-Identifier: Apache-2.0
// libbpf.so.1 through koffi: the few calls that we need, with JavaScript's errors. Loaded on first use, so that the
// user-space engine runs on machines without it.
import koffi from 'koffi';
import { closeSync } from 'node:fs';
import { KernelError } from './kernel-error.js';

/** The version whose symbols are used; Debian package libbpf1. */
const LIBRARY = 'libbpf.so.1';
const LOG_BYTES = 1 << 24;
const NOT_FOUND = -2;
const EXISTS = -17;

type Pointer = unknown;

interface Calls {
  openFile(path: string, options: Pointer): Pointer;
  load(object: Pointer): number;
  close(object: Pointer): void;
  findMap(object: Pointer, name: string): Pointer;
  mapFd(map: Pointer): number;
  reuseFd(map: Pointer, fd: number): number;
  setMaxEntries(map: Pointer, entries: number): number;
  findProgram(object: Pointer, name: string): Pointer;
  programFd(program: Pointer): number;
  testRun(fd: number, options: Pointer): number;
  remove(fd: number, key: Buffer): number;
  lookupFlags(fd: number, key: Buffer, value: Buffer, flags: bigint): number;
  update(fd: number, key: Buffer, value: Buffer, flags: bigint): number;
  hookCreate(hook: object): number;
  attach(hook: object, options: object): number;
  detach(hook: object, options: object): number;
  query(hook: object, options: object): number;
  programById(id: number): number;
  mapById(id: number): number;
  infoByFd(fd: number, info: Buffer, length: number[]): number;
}

koffi.struct('bpf_object_open_opts', {
  sz: 'size_t',
  object_name: 'void *',
  relaxed_maps: 'bool',
  pin_root_path: 'void *',
  removed_field: 'uint32_t',
  kconfig: 'void *',
  btf_custom_path: 'void *',
  kernel_log_buf: 'void *',
  kernel_log_size: 'size_t',
  kernel_log_level: 'uint32_t',
});
const TcHook = koffi.struct('bpf_tc_hook', {
  sz: 'size_t',
  ifindex: 'int',
  attach_point: 'uint32_t',
  parent: 'uint32_t',
});
const TcOpts = koffi.struct('bpf_tc_opts', {
  sz: 'size_t',
  prog_fd: 'int',
  flags: 'uint32_t',
  prog_id: 'uint32_t',
  handle: 'uint32_t',
  priority: 'uint32_t',
});
koffi.struct('bpf_test_run_opts', {
  sz: 'size_t',
  data_in: 'void *',
  data_out: 'void *',
  data_size_in: 'uint32_t',
  data_size_out: 'uint32_t',
  ctx_in: 'void *',
  ctx_out: 'void *',
  ctx_size_in: 'uint32_t',
  ctx_size_out: 'uint32_t',
  retval: 'uint32_t',
  repeat: 'int',
  duration: 'uint32_t',
  flags: 'uint32_t',
  cpu: 'uint32_t',
  batch_size: 'uint32_t',
});

let loaded: Calls | undefined;

function calls(): Calls {
  if (loaded) return loaded;
  let lib: ReturnType<typeof koffi.load>;
  try {
    lib = koffi.load(LIBRARY);
  } catch {
    throw new KernelError(`${LIBRARY} is not installed (Debian: apt-get install libbpf1)`);
  }
  lib.func('void *libbpf_set_print(void *printer)')(null); // it would write to stderr; errors come back as errno
  loaded = {
    openFile: lib.func('void *bpf_object__open_file(const char *path, bpf_object_open_opts *opts)'),
    load: lib.func('int bpf_object__load(void *object)'),
    close: lib.func('void bpf_object__close(void *object)'),
    findMap: lib.func('void *bpf_object__find_map_by_name(void *object, const char *name)'),
    mapFd: lib.func('int bpf_map__fd(void *map)'),
    reuseFd: lib.func('int bpf_map__reuse_fd(void *map, int fd)'),
    setMaxEntries: lib.func('int bpf_map__set_max_entries(void *map, uint32_t entries)'),
    findProgram: lib.func('void *bpf_object__find_program_by_name(void *object, const char *name)'),
    programFd: lib.func('int bpf_program__fd(void *program)'),
    testRun: lib.func('int bpf_prog_test_run_opts(int fd, void *opts)'),
    remove: lib.func('int bpf_map_delete_elem(int fd, void *key)'),
    lookupFlags: lib.func('int bpf_map_lookup_elem_flags(int fd, void *key, void *value, uint64_t flags)'),
    update: lib.func('int bpf_map_update_elem(int fd, void *key, void *value, uint64_t flags)'),
    hookCreate: lib.func('int bpf_tc_hook_create(bpf_tc_hook *hook)'),
    attach: lib.func('int bpf_tc_attach(bpf_tc_hook *hook, _Inout_ bpf_tc_opts *opts)'),
    detach: lib.func('int bpf_tc_detach(bpf_tc_hook *hook, bpf_tc_opts *opts)'),
    query: lib.func('int bpf_tc_query(bpf_tc_hook *hook, _Inout_ bpf_tc_opts *opts)'),
    programById: lib.func('int bpf_prog_get_fd_by_id(uint32_t id)'),
    mapById: lib.func('int bpf_map_get_fd_by_id(uint32_t id)'),
    infoByFd: lib.func('int bpf_obj_get_info_by_fd(int fd, void *info, _Inout_ uint32_t *length)'),
  };
  return loaded;
}

/** Throws a KernelError that names the call when `result` is a negative errno. */
function check(result: number, what: string): number {
  if (result < 0) throw KernelError.fromErrno(what, -result);
  return result;
}

/** A loaded object file: its maps and programs live until close() and for as long as something in the kernel holds them. */
export class BpfObject {
  readonly #object: Pointer;

  private constructor(object: Pointer) {
    this.#object = object;
  }

  /** Loads an object file; maps named in `shared` are not created but taken from there, those in
   * `entries` have that many. Throws KernelError. */
  static load(
    path: string,
    shared: ReadonlyMap<string, number> = new Map(),
    entries: ReadonlyMap<string, number> = new Map(),
  ): BpfObject {
    const log = koffi.alloc('char', LOG_BYTES);
    try {
      const object = calls().openFile(path, {
        sz: koffi.sizeof('bpf_object_open_opts'),
        object_name: null,
        relaxed_maps: false,
        pin_root_path: null,
        removed_field: 0,
        kconfig: null,
        btf_custom_path: null,
        kernel_log_buf: log,
        kernel_log_size: LOG_BYTES,
        kernel_log_level: 0,
      });
      if (!object) throw KernelError.fromErrno(`open ${path}`, koffi.errno());
      const made = new BpfObject(object);
      try {
        for (const [name, fd] of shared) {
          const map = calls().findMap(object, name);
          if (map) check(calls().reuseFd(map, fd), `share map ${name}`);
        }
        for (const [name, count] of entries)
          check(calls().setMaxEntries(calls().findMap(object, name), count), `size of map ${name}`);
        const result = calls().load(object);
        if (result < 0) throw KernelError.fromErrno(`load ${path}`, -result, lastLines(log));
      } catch (error) {
        made.close();
        throw error;
      }
      return made;
    } finally {
      koffi.free(log);
    }
  }

  /** File descriptor, owned by the object. */
  mapFd(name: string): number {
    const map = calls().findMap(this.#object, name);
    if (!map) throw new KernelError(`the object has no map ${name}`);
    return check(calls().mapFd(map), `map ${name}`);
  }

  programFd(name: string): number {
    const program = calls().findProgram(this.#object, name);
    if (!program) throw new KernelError(`the object has no program ${name}`);
    return check(calls().programFd(program), `program ${name}`);
  }

  close(): void {
    calls().close(this.#object);
  }
}

/** What the verifier said last. */
function lastLines(log: Pointer): string {
  const text = koffi.decode(log, 'char', LOG_BYTES) as string;
  return text.trimEnd().split('\n').slice(-4).join('; ');
}

/** struct bpf_test_run_opts for repeated use, in memory that stays in place. */
function runOptions(fields: Record<string, unknown>): Pointer {
  const pointers = ['data_in', 'data_out', 'ctx_in', 'ctx_out'];
  const numbers = [
    'data_size_in',
    'data_size_out',
    'ctx_size_in',
    'ctx_size_out',
    'retval',
    'repeat',
    'duration',
  ];
  const options = koffi.alloc('bpf_test_run_opts', 1);
  koffi.encode(options, 'bpf_test_run_opts', {
    ...Object.fromEntries(pointers.map((name) => [name, null])),
    ...Object.fromEntries([...numbers, 'flags', 'cpu', 'batch_size'].map((name) => [name, 0])),
    sz: koffi.sizeof('bpf_test_run_opts'),
    ...fields,
  });
  return options;
}

function memory(bytes: number): { pointer: object; view: DataView } {
  const pointer = koffi.alloc('uint8_t', bytes) as object;
  return { pointer, view: new DataView(koffi.view(pointer, bytes)) };
}

/** BPF_PROG_RUN of a SEC("syscall") program on one context that stays in place: fill it, run, read it. */
export class SyscallProgram {
  /** The context, shared with the kernel call. */
  readonly context: DataView;
  readonly #fd: number;
  readonly #options: Pointer;

  constructor(fd: number, contextBytes: number) {
    const { pointer, view } = memory(contextBytes);
    this.#fd = fd;
    this.context = view;
    this.#options = runOptions({ ctx_in: pointer, ctx_size_in: contextBytes });
  }

  run(): void {
    check(calls().testRun(this.#fd, this.#options), 'BPF_PROG_RUN');
  }
}

/** BPF_PROG_RUN of a classifier on one frame, which it may send. */
export class FrameProgram {
  static readonly MOST_BYTES = 2048;
  /** The frame: fill it from its Ethernet header on. */
  readonly frame: DataView;
  readonly #context: DataView;
  readonly #fd: number;
  readonly #options: Pointer;
  /** The options again, to be read and written without a call each. */
  readonly #fields: DataView;
  readonly #at = {
    sizeIn: koffi.offsetof('bpf_test_run_opts', 'data_size_in'),
    sizeOut: koffi.offsetof('bpf_test_run_opts', 'data_size_out'),
    answer: koffi.offsetof('bpf_test_run_opts', 'retval'),
  };

  constructor(fd: number) {
    const frame = memory(FrameProgram.MOST_BYTES);
    const context = memory(SK_BUFF.cb + 4);
    this.#fd = fd;
    this.frame = frame.view;
    this.#context = context.view;
    this.#options = runOptions({
      data_in: frame.pointer,
      ctx_in: context.pointer,
      ctx_size_in: SK_BUFF.cb + 4,
    });
    this.#fields = new DataView(koffi.view(this.#options, koffi.sizeof('bpf_test_run_opts')));
  }

  /** Runs it on the first `bytes` of the frame with `argument` in cb[0]; returns what the program returned, signed. */
  run(bytes: number, argument: number): number {
    this.#context.setUint32(SK_BUFF.cb, argument, true);
    this.#fields.setUint32(this.#at.sizeIn, bytes, true);
    this.#fields.setUint32(this.#at.sizeOut, 0, true); // the last run's size: a longer frame would be ENOSPC
    check(calls().testRun(this.#fd, this.#options), 'BPF_PROG_RUN');
    return this.#fields.getInt32(this.#at.answer, true);
  }
}

/** Offset in struct __sk_buff. */
const SK_BUFF = { cb: 48 } as const;

/** Throws KernelError. */
export function mapUpdate(fd: number, key: Buffer, value: Buffer): void {
  check(calls().update(fd, key, value, 0n), 'BPF_MAP_UPDATE_ELEM');
}

/** Removes what a map has for a key. Throws KernelError. */
export function mapDelete(fd: number, key: Buffer): void {
  check(calls().remove(fd, key), 'BPF_MAP_DELETE_ELEM');
}

/** Copies a value out of a map; false when there is none. `flags` 4 (BPF_F_LOCK) takes the value's spin lock. */
export function mapLookup(fd: number, key: Buffer, value: Buffer, flags = 0n): boolean {
  const result = calls().lookupFlags(fd, key, value, flags);
  if (result === NOT_FOUND) return false;
  check(result, 'BPF_MAP_LOOKUP_ELEM');
  return true;
}

const INGRESS = 1;
const BPF_TC_F_REPLACE = 1;

/** A classifier's place on a device: priority and handle are ours to choose. */
export interface TcPlace {
  readonly ifindex: number;
  readonly priority: number;
  readonly handle: number;
}

function hook(ifindex: number): object {
  return { sz: koffi.sizeof(TcHook), ifindex, attach_point: INGRESS, parent: 0 };
}

function options(place: TcPlace, fd: number): { prog_id: number } & Record<string, number> {
  const { priority, handle } = place;
  return { sz: koffi.sizeof(TcOpts), prog_fd: fd, flags: 0, prog_id: 0, handle, priority };
}

/** Attaches a program to a device's ingress, making the clsact qdisc if there is none. What is at that place is replaced
 * between two packets. Throws KernelError. */
export function tcAttach(place: TcPlace, programFd: number): void {
  const made = calls().hookCreate(hook(place.ifindex));
  if (made !== EXISTS) check(made, `clsact qdisc on device ${place.ifindex}`);
  const flags = tcQuery(place) === undefined ? 0 : BPF_TC_F_REPLACE;
  check(
    calls().attach(hook(place.ifindex), { ...options(place, programFd), flags }),
    `attach to device ${place.ifindex}`,
  );
}

/** Detaches what is at that place; the qdisc stays, for others may use it. Nothing there, or no device: nothing done. */
export function tcDetach(place: TcPlace): void {
  calls().detach(hook(place.ifindex), options({ ...place }, 0));
}

/** The id of the program at that place, or undefined. */
export function tcQuery(place: TcPlace): number | undefined {
  const found = options(place, 0);
  return calls().query(hook(place.ifindex), found) < 0 ? undefined : found.prog_id;
}

const INFO_BYTES = 256;
const PROG_INFO = { nrMapIds: 52, mapIds: 56 } as const;
const MAP_INFO = { valueBytes: 12, entries: 16, name: 24, nameBytes: 16 } as const;
const MOST_MAPS = 64;

/** The maps that a loaded program uses, by name, as descriptors that are the caller's to close. Throws KernelError. */
export function mapsOfProgram(programId: number): Map<string, number> {
  const ids = koffi.alloc('uint32_t', MOST_MAPS) as object;
  const program = check(calls().programById(programId), `program ${programId}`);
  try {
    const info = Buffer.alloc(INFO_BYTES);
    info.writeUInt32LE(MOST_MAPS, PROG_INFO.nrMapIds);
    info.writeBigUInt64LE(BigInt(koffi.address(ids)), PROG_INFO.mapIds);
    check(calls().infoByFd(program, info, [info.length]), `program ${programId}`);
    const count = Math.min(info.readUInt32LE(PROG_INFO.nrMapIds), MOST_MAPS);
    return new Map(Array.from(koffi.decode(ids, 'uint32_t', count) as Uint32Array, namedMap));
  } finally {
    closeSync(program);
    koffi.free(ids);
  }
}

/** Size of a map's values and how many entries it has room for. */
export function mapShape(fd: number): { readonly valueBytes: number; readonly entries: number } {
  const info = mapInfo(fd);
  return {
    valueBytes: info.readUInt32LE(MAP_INFO.valueBytes),
    entries: info.readUInt32LE(MAP_INFO.entries),
  };
}

function mapInfo(fd: number): Buffer {
  const info = Buffer.alloc(INFO_BYTES);
  check(calls().infoByFd(fd, info, [info.length]), 'map info');
  return info;
}

function namedMap(id: number): [name: string, fd: number] {
  const fd = check(calls().mapById(id), `map ${id}`);
  const info = mapInfo(fd);
  const name = info.toString('latin1', MAP_INFO.name, MAP_INFO.name + MAP_INFO.nameBytes);
  return [name.replace(/\0.*$/s, ''), fd];
}
