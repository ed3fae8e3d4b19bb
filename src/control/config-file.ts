// SPDX-License-Identifier: Apache-2.0
// The file of `--config`: read at the start, and again whenever it has changed or SIGHUP comes.

import { readFileSync, statSync, watchFile, unwatchFile } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { changesBetween } from './config/diff.js';
import { parseConfig } from './config/parse.js';
import type { PathTable } from './config/path-table.js';
import { readAuthority } from './net/source-tls.js';
import type { Log } from './path/ports.js';

/** What a file of paths may have: some ten thousand of them. */
const MOST_BYTES = 1024 * 1024;
const LOOK_MS = 1000;

/** One line `FILE:LINE: what is wrong` for each fault. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** @throws ConfigError */
export function readConfigFile(file: string): PathTable {
  const parsed = parseConfig(readText(file), (name) => {
    const place = resolve(dirname(file), name);
    readAuthority(place);
    return place;
  });
  if ('table' in parsed) return parsed.table;
  throw new ConfigError(parsed.faults.map(({ line, text }) => `${file}:${line}: ${text}`).join('\n'));
}

function readText(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > MOST_BYTES) throw new Error(`${size} bytes are too many, ${MOST_BYTES} may be`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`${file}: ${(error as Error).message}`, { cause: error });
  }
}

export interface ConfigWatch {
  /** Reads it now. What changed while the proxy was starting is noticed only so. */
  reload(): void;
  close(): void;
}

/**
 * `apply` is called with each new table that is without fault; a file with faults is told in the log, all of them, and what
 * was in force stays so. The file is looked at once a second: notice of a change gets lost where editors put a new file
 * in the old one's place, and on network file systems.
 */
export function watchConfigFile(
  file: string,
  inForce: PathTable,
  { apply, log }: { apply: (table: PathTable) => void; log: Log },
): ConfigWatch {
  let table = inForce;
  const reload = (): void => {
    try {
      const before = table;
      table = readConfigFile(file);
      apply(table);
      if ((before.mptcp ?? false) !== (table.mptcp ?? false))
        log.warn({ file }, 'mptcp is looked at when the proxy starts: nothing changes until then');
      const changes = changesBetween(before, table);
      if (Object.values(changes).some((names) => names.length > 0))
        log.info({ file, ...changes }, 'paths have changed');
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      log.error({ why: error.message }, 'the configuration is at fault: what was in force stays');
    }
  };
  watchFile(file, { interval: LOOK_MS }, (now, before) => {
    // While an editor puts a new one in its place there may be none.
    if (now.mtimeMs !== 0 && (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino)) reload();
  });
  return { reload, close: () => unwatchFile(file) };
}
