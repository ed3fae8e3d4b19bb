// SPDX-License-Identifier: Apache-2.0
// VLC taking a stream and giving it on by RTSP, nothing decoded. It refuses to run as root, so it runs as nobody.
import { spawnSync } from 'node:child_process';
import { temporaryFolder } from '../../../netns/temporary-folder.js';
import { unprivileged } from '../../../netns/unprivileged.js';
import { says } from '../../../interop/peers/says.js';
import { tcpListening } from '../../../netns/child.js';
import { onPath, PORT, type Relay } from './relay.js';

const words = (home: string) => [...unprivileged(), 'env', `HOME=${home}`, 'cvlc'];

export const vlc: Relay = {
  name: 'VLC',
  ours: false,
  copies: 'stack',
  transports: ['udp'],
  command: `cvlc SOURCE '--sout=#rtp{sdp=rtsp://PROXY:${PORT}/camera}' --sout-keep`,
  probe() {
    const [program = '', ...args] = words(temporaryFolder());
    const version = says(program, [...args, '--version'], /VLC version (\S+)/);
    if (version === undefined) return onPath(undefined);
    const modules = spawnSync(program, [...args, '--list'], { encoding: 'utf8', timeout: 60_000 }).stdout;
    if (/^\s*live555\b/m.test(modules)) return { version };
    return { notRun: `${version} is here, but built without an RTSP client (its module live555)` };
  },
  async start({ namespace, address, port, source, folder }) {
    const [program = '', ...args] = words(folder);
    const child = await namespace.spawn(program, [
      ...[...args, '--no-color', source, `--rtsp-host=${address}`, '--sout-keep', '--mtu=1400'],
      `--sout=#rtp{sdp=rtsp://${address}:${port}/camera}`,
    ]);
    await tcpListening(child.pid, port, 20_000);
    return { child, url: `rtsp://${address}:${port}/camera` };
  },
};
