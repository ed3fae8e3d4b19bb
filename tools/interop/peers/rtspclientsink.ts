// SPDX-License-Identifier: Apache-2.0
// GStreamer's rtspclientsink as a publisher.
import type { Transport } from '../cell.js';
import { type PublisherPeer, urlOf } from '../peer.js';
import { gstreamer, SCHEMES } from './gstreamer.js';

const PROTOCOLS: Partial<Record<Transport, string>> = {
  ...{ udp: 'udp', tcp: 'tcp', http: 'tcp+http', tls: 'tcp+tls', 'http-tls': 'tcp+http+tls' },
};

export const rtspClientSink: PublisherPeer = {
  role: 'publisher',
  name: 'gstreamer',
  version: () => gstreamer.version(),
  publish: ({ where, at, transport, clip }) =>
    where.spawn('gst-launch-1.0', [
      ...[
        '-q',
        'filesrc',
        `location=${clip.mp4}`,
        '!',
        'qtdemux',
        '!',
        'h264parse',
        'config-interval=-1',
        '!',
      ],
      ...['identity', 'sync=true', '!', 'rtspclientsink', 'tls-validation-flags=0'],
      ...[`location=${urlOf(SCHEMES[transport] ?? 'rtsp', at)}`, `protocols=${PROTOCOLS[transport]}`],
    ]),
};
