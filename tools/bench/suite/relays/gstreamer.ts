// SPDX-License-Identifier: Apache-2.0
// gst-rtsp-server with an rtspsrc as its media (gst-relay.py), from Debian's packages.
import { says } from '../../../interop/peers/says.js';
import { onPath, PORT, type Relay } from './relay.js';

const PYTHON = '/usr/bin/python3';
const SCRIPT = 'tools/bench/suite/relays/gst-relay.py';
const TELL =
  "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0'); " +
  'from gi.repository import Gst, GstRtspServer; Gst.init(None); print(Gst.version_string())';

export const gstreamer: Relay = {
  name: 'GStreamer',
  ours: false,
  copies: 'stack',
  transports: ['udp', 'tcp'],
  command: `python3 ${SCRIPT} SOURCE PROXY ${PORT}`,
  probe: () => onPath(says(PYTHON, ['-c', TELL], /GStreamer (\S+)/)),
  async start({ namespace, address, port, source }) {
    const child = await namespace.spawn(PYTHON, [SCRIPT, source, address, `${port}`]);
    await child.output(/^listening$/m, 20_000);
    return { child, url: `rtsp://${address}:${port}/camera` };
  },
};
