// SPDX-License-Identifier: Apache-2.0
// What the kernel refused, in words: the call, the errno's name, and where known what to do.
import { getSystemErrorMap } from 'node:util';

export class KernelError extends Error {
  override readonly name = 'KernelError';
  /** E.g. `EPERM`; undefined when no system call failed. */
  readonly code: string | undefined;

  constructor(message: string, code?: string) {
    super(message);
    this.code = code;
  }

  /** `errno` positive. `detail` is what the verifier or the library added. */
  static fromErrno(what: string, errno: number, detail = ''): KernelError {
    const [code, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
    return new KernelError(`${what}: ${code} (${text})${detail ? `: ${detail}` : ''}`, code);
  }
}
