// SPDX-License-Identifier: Apache-2.0
// Where the API's unix socket is when nobody names it: the proxy and proxyctl must agree.

import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const ROOTS_SOCKET = '/run/rtsp-fanout.sock';

/** /run for root, else the user's own run-time folder, else a name in the folder for temporary files. */
export function defaultSocketPath(
  uid = process.getuid?.() ?? 0,
  env: NodeJS.ProcessEnv = process.env,
): string {
  if (uid === 0) return ROOTS_SOCKET;
  const runtime = env['XDG_RUNTIME_DIR'];
  return runtime ? join(runtime, 'rtsp-fanout.sock') : join(tmpdir(), `rtsp-fanout-${uid}.sock`);
}

/** Those default places of all users, root first, where something is, as far as this user may look. */
export function defaultSocketsInUse(run = '/run', temporary = tmpdir()): string[] {
  const ofUsers = namesIn(join(run, 'user')).map((uid) => join(run, 'user', uid, 'rtsp-fanout.sock'));
  const ofOthers = namesIn(temporary).filter((name) => /^rtsp-fanout-\d+\.sock$/.test(name));
  return [join(run, 'rtsp-fanout.sock'), ...ofUsers, ...ofOthers.map((name) => join(temporary, name))].filter(
    (path) => existsSync(path),
  );
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** sun_path of unix(7) without its closing zero. Node cuts a longer one off without a word. */
const MAX_BYTES = 107;

/** What is wrong with a socket's path, in one line; undefined: nothing. */
export function checkSocketPath(path: string): string | undefined {
  if (path === '') return 'the API socket has an empty path';
  const bytes = Buffer.byteLength(path);
  return bytes > MAX_BYTES ? `API socket ${path}: ${bytes} bytes are too long, ${MAX_BYTES} fit` : undefined;
}
