// SPDX-License-Identifier: Apache-2.0
// go2rtc (AlexxIT), with nothing on but RTSP. It serves viewers within their RTSP connection only.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tcpListening } from '../../../netns/child.js';
import { says } from '../../../interop/peers/says.js';
import { onPath, PORT, type Relay } from './relay.js';

/** YAML, as JSON is. */
const settings = (source: string, port: number) =>
  JSON.stringify({
    api: { listen: '' },
    webrtc: { listen: '' },
    srtp: { listen: '' },
    rtsp: { listen: `:${port}` },
    streams: { camera: `${source}#transport=udp` },
  });

export const go2rtc: Relay = {
  name: 'go2rtc',
  ours: false,
  copies: 'stack',
  transports: ['tcp'],
  command: `go2rtc -config settings.yaml, with ${settings('SOURCE', PORT)}`,
  probe: () => onPath(says('go2rtc', ['--version'], /version (\S+)/)),
  async start({ namespace, address, port, source, folder }) {
    const file = join(folder, 'settings.yaml');
    writeFileSync(file, settings(source, port));
    const child = await namespace.spawn('go2rtc', ['-config', file]);
    await tcpListening(child.pid, port, 20_000);
    return { child, url: `rtsp://${address}:${port}/camera` };
  },
};
