// SPDX-License-Identifier: Apache-2.0
// What the proxy prints when it serves.

import t from 'tap';
import { defaultSocketPath } from '../../../src/control/api/socket-path.js';
import { bannerText } from '../../../src/control/banner.js';

const facts = {
  version: '1.2.3',
  listen: { address: '127.0.0.1', port: 8554 },
  tls: undefined,
  paths: { source: 'rtsp://192.0.2.7/', example: '/' },
  datapath: { engine: 'tc', why: 'a test' },
  proxyctl: 'bin/proxyctl',
} as const;

t.test('how to call proxyctl, as whoever: root looks in another place than others', async (t) => {
  t.match(bannerText({ ...facts, apiSocket: defaultSocketPath(0) }), /^ +viewers +bin\/proxyctl clients$/m);
  t.intercept(process, 'getuid', { value: () => 65_534 });
  const users = defaultSocketPath();
  for (const path of [users, '/somewhere/a.sock'])
    t.match(bannerText({ ...facts, apiSocket: path }), ` bin/proxyctl --api-socket ${path} clients\n`);
});
