// SPDX-License-Identifier: Apache-2.0
// ffmpeg as a viewer.
import { ffmpeg as play, type Delivery } from '../../../test/netns/players.js';
import type { Transport } from '../cell.js';
import { urlOf, type ViewerPeer } from '../peer.js';
import { says } from './says.js';

export const DELIVERY: Readonly<Record<Transport, Delivery>> = {
  ...{ udp: 'unicast', tcp: 'interleaved', multicast: 'multicast' },
  ...{ http: 'tunnel', tls: 'secure', 'http-tls': 'secure-tunnel' },
};

export const ffmpeg: ViewerPeer = {
  role: 'viewer',
  name: 'ffmpeg',
  version: () => says('ffmpeg', ['-version'], /^ffmpeg version (\S+)/),
  watch: ({ where, at, transport, frames }) =>
    play(where, urlOf(transport === 'tls' ? 'rtsps' : 'rtsp', at), frames, DELIVERY[transport]),
};
