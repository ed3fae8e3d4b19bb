// SPDX-License-Identifier: Apache-2.0
// Where the API's unix socket is when nobody names it: the proxy and proxyctl must agree.

import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** /run for root, else the user's own run-time folder, else a name in the folder for temporary files. */
export function defaultSocketPath(
  uid = process.getuid?.() ?? 0,
  env: NodeJS.ProcessEnv = process.env,
): string {
  if (uid === 0) return '/run/rtsp-fanout.sock';
  const runtime = env['XDG_RUNTIME_DIR'];
  return runtime ? join(runtime, 'rtsp-fanout.sock') : join(tmpdir(), `rtsp-fanout-${uid}.sock`);
}
