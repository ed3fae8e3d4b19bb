// SPDX-License-Identifier: Apache-2.0
// A folder for as long as this process lives; those of processes that were killed before they could remove theirs go with the next.
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onProcessExit } from './on-exit.js';

const PREFIX = 'rtsp-fanout-tools-';
let swept = false;

const remove = (folder: string) => rmSync(folder, { recursive: true, force: true });

function sweep(): void {
  swept = true;
  for (const name of readdirSync(tmpdir())) {
    const [, pid] = new RegExp(`^${PREFIX}(\\d+)-`).exec(name) ?? [];
    if (pid && !existsSync(`/proc/${pid}`)) remove(join(tmpdir(), name));
  }
}

/** A new one that anybody may write to, removed with the process however it ends. */
export function temporaryFolder(): string {
  if (!swept) sweep();
  const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  chmodSync(folder, 0o777);
  onProcessExit(() => remove(folder));
  return folder;
}
