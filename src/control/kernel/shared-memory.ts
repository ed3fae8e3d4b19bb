// SPDX-License-Identifier: Apache-2.0
// A BPF array map seen as memory (BPF_F_MMAPABLE): reading a counter is a load, not a system call.
import koffi from 'koffi';
import { KernelError } from './kernel-error.js';

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffffffffffffffffn;

const libc = koffi.load(null);
const mmap = libc.func('void *mmap(void *addr, size_t length, int prot, int flags, int fd, long offset)');
const munmap = libc.func('int munmap(void *addr, size_t length)');

export interface SharedMemory {
  readonly view: DataView;
  /** The view must not be touched afterwards. */
  close(): void;
}

/** Maps `bytes` of an array map, rounded up to whole pages by the kernel. Throws KernelError. */
export function shareMap(fd: number, bytes: number): SharedMemory {
  const pages = Math.ceil(bytes / 4096) * 4096;
  const address = mmap(null, pages, PROT_READ_WRITE, MAP_SHARED, fd, 0) as object;
  if (koffi.address(address) === MAP_FAILED) throw KernelError.fromErrno('mmap of a map', koffi.errno());
  return {
    view: new DataView(koffi.view(address, bytes)),
    close: () => {
      munmap(address, pages);
    },
  };
}
