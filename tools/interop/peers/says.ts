// SPDX-License-Identifier: Apache-2.0
// Versions of programs, as they tell them.
import { spawnSync } from 'node:child_process';

/** The first group of `pattern` in what the command prints; undefined: it is not there, or does not work. */
export function says(command: string, args: readonly string[], pattern: RegExp): string | undefined {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: 10_000 });
  return status === 0 ? pattern.exec(stdout)?.[1] : undefined;
}
