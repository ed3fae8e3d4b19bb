// SPDX-License-Identifier: Apache-2.0
// Plugs the parts together: datapath, proxy, API. Each is noted in `parts` as soon as it is built.

import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serveApi } from './api/server.js';
import { bannerText } from './banner.js';
import { chooseDatapath } from './kernel/choose.js';
import { checkMulticast } from './multicast-options.js';
import { systemPorts } from './net/system-ports.js';
import { version, type Options } from './options.js';
import type { Parts } from './parts.js';
import type { Log } from './path/ports.js';
import { createProxy } from './path/proxy.js';

/** Resolves to the banner when viewers are served. Rejects with a message for the command line. */
export async function serve(options: Options, parts: Parts, log: Log): Promise<string> {
  const { listen, source, apiSocket, pictures, multicast } = options;
  checkMulticast(multicast);
  const datapath = await chooseDatapath({ wanted: options.datapath, port: listen.port, pictures, log });
  parts.built('datapath', () => datapath.close());

  const proxy = createProxy({ ...systemPorts({ log }), upstream: source, listen, datapath, log, multicast });
  parts.built('proxy', () => proxy.close());
  const address = await proxy.listen();

  const api = await serveApi(apiSocket, proxy);
  parts.built('api', () => api.close());

  const proxyctl = relative(process.cwd(), fileURLToPath(new URL('../../../bin/proxyctl', import.meta.url)));
  return bannerText({ version: version(), listen: address, source, datapath, apiSocket, proxyctl });
}
