// SPDX-License-Identifier: Apache-2.0
// GStreamer's rtspsrc as a viewer.
import { gstreamer as play } from '../../../test/netns/players.js';
import type { Transport } from '../cell.js';
import { urlOf, type ViewerPeer } from '../peer.js';
import { DELIVERY } from './ffmpeg.js';
import { says } from './says.js';

export const SCHEMES: Partial<Record<Transport, string>> = {
  http: 'rtsph',
  tls: 'rtsps',
  'http-tls': 'rtspsh',
};

export const gstreamer: ViewerPeer = {
  role: 'viewer',
  name: 'gstreamer',
  version: () => says('gst-launch-1.0', ['--version'], /version (\S+)/),
  watch: ({ where, at, transport, frames }) =>
    play(where, urlOf(SCHEMES[transport] ?? 'rtsp', at), frames, DELIVERY[transport]),
};
