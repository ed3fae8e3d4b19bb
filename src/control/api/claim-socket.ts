// SPDX-License-Identifier: Apache-2.0
// Takes over the name of a unix socket whose owner is dead, and only then: one that answers is another proxy's,
// anything that is not a socket is somebody's file.

import { existsSync } from 'node:fs';
import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { checkSocketPath } from './socket-path.js';

/** Resolves when `path` is free. Rejects with a message fit to be shown. */
export async function claimSocket(path: string): Promise<void> {
  const wrong = checkSocketPath(path);
  if (wrong !== undefined) throw new Error(wrong);
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new Error(`API socket ${path}: ${error.message}`, { cause: error });
  });
  // Told here because listen() calls it "permission denied".
  if (found === undefined && !existsSync(dirname(path)))
    throw new Error(`API socket ${path}: there is no folder ${dirname(path)}`);
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`API socket ${path}: a file that is no socket is in the way`);
  if (await answers(path))
    throw new Error(`API socket ${path}: another proxy answers on it (--api-socket names another one)`);
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT')
      throw new Error(`API socket ${path}: left by another user: ${error.message}`, { cause: error });
  });
}

/** ECONNREFUSED is the one sure sign that nobody listens any more. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => (socket.destroy(), resolve(true)));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}
