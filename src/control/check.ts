// SPDX-License-Identifier: Apache-2.0
// --check: what a start looks at before it opens a socket or touches the kernel, without the start. Whether the ports are
// free and the kernel takes the programs nobody knows before.

import { checkSocketPath } from './api/socket-path.js';
import { checkEngine } from './kernel/choose.js';
import { checkMulticast } from './multicast-options.js';
import { readTlsFiles } from './net/tls-door.js';
import type { Options } from './options.js';
import type { PathsGiven } from './paths-given.js';

/** One line for people. @throws Error, one sentence, with the first that is wrong beside the paths */
export function checkStart(options: Options, { source, table }: PathsGiven): string {
  const { listen, datapath, multicast, apiSocket } = options;
  if (listen.tls) readTlsFiles(listen.tls.files);
  checkEngine(datapath);
  checkMulticast(multicast);
  const wrong = checkSocketPath(apiSocket);
  if (wrong !== undefined) throw new Error(wrong);
  const { length } = table.paths;
  return `${source} is fine: ${length} path${length === 1 ? '' : 's'}`;
}
