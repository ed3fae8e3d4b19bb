// SPDX-License-Identifier: Apache-2.0
// Every program of every object passes this kernel's verifier, and how many instructions that walked: older kernels walk
// more, and refuse at a million.
import koffi from 'koffi';
import { existsSync, readdirSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { missingCapabilities } from '../../src/control/kernel/capabilities.js';
import { BpfObject } from '../../src/control/kernel/libbpf.js';

const OBJECTS = 'dist/bpf';
/** Above what is needed, a fifth of what the kernel allows. */
const MOST_INSTRUCTIONS = 200_000;
/** Of struct bpf_prog_info (linux/bpf.h). */
const INFO = { verifiedInsns: 216, bytes: 256 } as const;

const objects = existsSync(OBJECTS) ? readdirSync(OBJECTS).filter((name) => name.endsWith('.bpf.o')) : [];
const missing = missingCapabilities();
const skip =
  (objects.length === 0 && `${OBJECTS} is empty: no clang here`) ||
  (missing.length > 0 && `lacks ${missing.join(' and ')}`);

t.test('the verifier takes every program', { skip }, async (t) => {
  for (const file of objects) {
    const path = join(OBJECTS, file);
    const names = programNames(path);
    t.ok(names.length > 0, `${file} has programs`);
    const object = BpfObject.load(path); // throws with the verifier's last words
    for (const name of names) {
      const walked = verifiedInstructions(object.programFd(name));
      process.stderr.write(`kernel ${release()}: ${file} ${name}: ${walked} instructions verified\n`);
      t.ok(walked > 0 && walked < MOST_INSTRUCTIONS, `${name}: ${walked} of at most ${MOST_INSTRUCTIONS}`);
    }
    object.close();
  }
});

function programNames(path: string): string[] {
  const lib = koffi.load('libbpf.so.1');
  const next = lib.func('void *bpf_object__next_program(void *object, void *previous)');
  const name = lib.func('const char *bpf_program__name(void *program)');
  const object: unknown = lib.func('void *bpf_object__open(const char *path)')(path);
  if (!object) throw new Error(`${path}: not an object file`);
  const names: string[] = [];
  for (let program: unknown = next(object, null); program; program = next(object, program))
    names.push(name(program) as string);
  lib.func('void bpf_object__close(void *object)')(object);
  return names;
}

function verifiedInstructions(fd: number): number {
  const ask = koffi
    .load('libbpf.so.1')
    .func('int bpf_obj_get_info_by_fd(int fd, void *info, _Inout_ uint32_t *length)');
  const info = Buffer.alloc(INFO.bytes);
  const result = ask(fd, info, [info.length]) as number;
  if (result < 0) throw new Error(`BPF_OBJ_GET_INFO_BY_FD: errno ${-result}`);
  return info.readUInt32LE(INFO.verifiedInsns);
}
