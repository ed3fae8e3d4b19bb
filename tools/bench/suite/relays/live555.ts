// SPDX-License-Identifier: Apache-2.0
// live555ProxyServer, as it comes. It has no option that tells its version: it says so whenever it starts.
import { spawnSync } from 'node:child_process';
import { tcpListening } from '../../../netns/child.js';
import { onPath, PORT, type Relay } from './relay.js';

const PROGRAM = 'live555ProxyServer';

export const live555: Relay = {
  name: 'live555ProxyServer',
  ours: false,
  copies: 'stack',
  transports: ['udp', 'tcp'],
  command: `${PROGRAM} -p ${PORT} SOURCE`,
  probe() {
    const { error, stdout, stderr } = spawnSync(PROGRAM, [], { encoding: 'utf8', timeout: 10_000 });
    if (error) return onPath(undefined);
    return onPath(/library version ([\d.]+)/.exec(stdout + stderr)?.[1] ?? 'unknown');
  },
  async start({ namespace, address, port, source }) {
    const child = await namespace.spawn(PROGRAM, ['-p', `${port}`, source]);
    await tcpListening(child.pid, port, 20_000);
    return { child, url: `rtsp://${address}:${port}/proxyStream` };
  },
};
