// SPDX-License-Identifier: Apache-2.0
// VLC as a viewer and as a source. It refuses to run as root, so it runs as nobody.
import { finished } from '../../../test/netns/players.js';
import { temporaryFolder } from '../../netns/temporary-folder.js';
import { unprivileged } from '../../netns/unprivileged.js';
import { type Child, tcpListening } from '../../netns/child.js';
import type { Namespace } from '../../netns/topology.js';
import { PASSWORD, urlOf, USER, type SourcePeer, type ViewerPeer } from '../peer.js';
import { says } from './says.js';

const PORT = 9556;
const PATH = '/clip';
const GROUP = '239.9.1.1';

/** As a program of whoever may run it. */
const command = [...unprivileged(), 'env', `HOME=${temporaryFolder()}`, 'cvlc'];

function version(): string | undefined {
  const [program = '', ...args] = command;
  return says(program, [...args, '--version'], /VLC version (\S+)/);
}

function start(where: Namespace, args: readonly string[]): Promise<Child> {
  const [program = '', ...more] = [...command, '--verbose=1', '--no-color', ...args];
  return where.spawn(program, more);
}

/** Its frames are not looked at: Debian's VLC does not come so far, and another one is to be noticed. */
export const vlcViewer: ViewerPeer = {
  role: 'viewer',
  name: 'vlc',
  version,
  async watch({ where, at, transport }) {
    const tcp = transport === 'tcp' ? ['--rtsp-tcp'] : [];
    const child = await start(where, [
      ...[...tcp, '--play-and-exit', '--run-time=3', '--vout=dummy', '--aout=dummy'],
      urlOf('rtsp', at),
      'vlc://quit',
    ]);
    const frames = async () => {
      await finished(child);
      if (/unable to open the MRL/.test(child.stderr)) throw new Error(child.describe());
      return [];
    };
    return { child, frames };
  },
};

export const vlcSource: SourcePeer = {
  role: 'source',
  name: 'vlc',
  version,
  async serve({ where, address, transport, login, clip }) {
    const to = transport === 'multicast' ? `dst=${GROUP},port=5004,` : '';
    const host = address.includes(':') ? `[${address}]` : address;
    const guarded =
      login === 'none' ? [] : [`--sout-rtsp-user=${USER}`, `--sout-rtsp-pwd=${PASSWORD}`, '--sout-keep'];
    const child = await start(where, [
      ...[clip.withSound, `--rtsp-host=${host}`, ...guarded],
      `--sout=#rtp{${to}sdp=rtsp://${host}:${PORT}${PATH}}`,
    ]);
    await tcpListening(child.pid, PORT);
    return { child, port: PORT, path: PATH };
  },
};
