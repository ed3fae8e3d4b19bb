// SPDX-License-Identifier: Apache-2.0
// This proxy as a relay, with each of its engines.
import { join } from 'node:path';
import { says } from '../../../interop/peers/says.js';
import { onPath, type Relay } from './relay.js';

export type Datapath = 'xdp' | 'tc' | 'userspace';

/** `apiSocket`: where its API is to be; without it nobody asks it. */
export function rtspFanout(datapath: Datapath, apiSocket?: string): Relay {
  const options = ['--datapath', datapath, '--log-level', 'warn'];
  return {
    name: `rtsp-fanout ${datapath}`,
    ours: true,
    copies: datapath === 'xdp' ? 'xdp' : 'stack',
    transports: ['udp', 'tcp'],
    command: ['bin/rtsp-fanout', ...options, 'SOURCE'].join(' '),
    probe: () => onPath(says('bin/rtsp-fanout', ['--version'], /(\S+)/)),
    async start({ namespace, address, port, source, folder }) {
      const child = await namespace.spawn('bin/rtsp-fanout', [
        ...['--listen', `${address}:${port}`, '--api-socket', apiSocket ?? join(folder, 'api.sock')],
        ...[...options, source],
      ]);
      await child.output(/^ *datapath /m, 30_000); // or why not
      return { child, url: `rtsp://${address}:${port}/camera` };
    },
  };
}
