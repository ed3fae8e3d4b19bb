// SPDX-License-Identifier: Apache-2.0
// mpv as a viewer: it plays into an encoder that writes the hash of each picture.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { finished, hashes } from '../../../test/netns/players.js';
import { temporaryFolder } from '../../netns/temporary-folder.js';
import type { Transport } from '../cell.js';
import { urlOf, type ViewerPeer } from '../peer.js';
import { says } from './says.js';

const TRANSPORTS: Readonly<Record<Transport, string>> = {
  ...{ udp: 'udp', tcp: 'tcp', multicast: 'udp_multicast', http: 'http', tls: 'tcp', 'http-tls': 'http' },
};

export const mpv: ViewerPeer = {
  role: 'viewer',
  name: 'mpv',
  version: () => says('mpv', ['--version'], /^mpv (\S+)/),
  async watch({ where, at, transport, frames }) {
    const file = join(temporaryFolder(), 'frames');
    const child = await where.spawn('mpv', [
      ...['--no-config', '--no-audio', `--rtsp-transport=${TRANSPORTS[transport]}`, `--frames=${frames}`],
      ...['--ovc=rawvideo', '--of=framemd5', `--o=${file}`],
      urlOf(transport === 'tls' ? 'rtsps' : 'rtsp', at),
    ]);
    return { child, frames: () => finished(child).then(() => hashes(readFileSync(file, 'utf8'))) };
  },
};
