// SPDX-License-Identifier: Apache-2.0
// Versions of programs, as they tell them.
import { spawnSync } from 'node:child_process';

/** A busy machine takes its time. */
const LIMIT_MS = 60_000;
/** What `env` exits with. */
const NOT_FOUND = 127;
/** Python's, and that of its typelibs. */
const NO_MODULE = /No module named|Namespace \w+ not available/;
const known = new Map<string, string | undefined>();

/**
 * The first group of `pattern` in what the command prints; undefined: it is not there. Asked once.
 * @throws Error when it is there and says something else
 */
export function says(command: string, args: readonly string[], pattern: RegExp): string | undefined {
  const line = [command, ...args].join(' ');
  if (!known.has(line)) known.set(line, ask(command, args, pattern));
  return known.get(line);
}

function ask(command: string, args: readonly string[], pattern: RegExp): string | undefined {
  const { error, status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: LIMIT_MS });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined;
  if (status === NOT_FOUND || (status === 1 && NO_MODULE.test(stderr))) return undefined;
  const version = pattern.exec(stdout)?.[1];
  if (version === undefined)
    throw new Error(`${command} does not tell its version: ${error?.message ?? stderr.trim()}`);
  return version;
}
