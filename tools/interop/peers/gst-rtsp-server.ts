// SPDX-License-Identifier: Apache-2.0
// gst-rtsp-server as a source.
import { GstServer } from '../../../test/netns/gst-server.js';
import { isSecure, PASSWORD, USER, type SourcePeer } from '../peer.js';
import { says } from './says.js';

/** The module has no version of its own: it is released with GStreamer. */
const VERSION =
  "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; " +
  'print("version", Gst.version_string())';

export const gstRtspServer: SourcePeer = {
  role: 'source',
  name: 'gst-rtsp-server',
  version: () => says('/usr/bin/python3', ['-c', VERSION], /version GStreamer (\S+)/),
  async serve({ where, address, transport, login, clip, certificate }) {
    const server = await GstServer.start({
      ...{ file: clip.mp4, address, namespace: where },
      ...(transport === 'multicast' && { multicast: '239.9.0.1-239.9.0.8' }),
      ...(transport === 'tcp' && { tcp: true }),
      ...(isSecure(transport) && { tls: certificate }),
      ...(login !== 'none' && { [login]: `${USER}:${PASSWORD}` }),
    });
    return { child: server.child, port: Number(new URL(server.url).port), path: '/clip' };
  },
};
