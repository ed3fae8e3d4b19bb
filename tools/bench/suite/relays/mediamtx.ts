// SPDX-License-Identifier: Apache-2.0
// mediamtx (bluenviron), with nothing on but RTSP; its own settings otherwise.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tcpListening } from '../../../netns/child.js';
import { says } from '../../../interop/peers/says.js';
import { onPath, PORT, type Relay } from './relay.js';

const OFF = ['rtmp', 'hls', 'webrtc', 'srt'];

/** YAML, as JSON is. */
const settings = (source: string, port: number) =>
  JSON.stringify({
    logLevel: 'warn',
    rtspAddress: `:${port}`,
    rtspTransports: ['udp', 'tcp'],
    ...Object.fromEntries(OFF.map((name) => [name, false])),
    paths: { camera: { source, sourceOnDemand: true, rtspTransport: 'udp' } },
  });

export const mediamtx: Relay = {
  name: 'mediamtx',
  ours: false,
  copies: 'stack',
  transports: ['udp', 'tcp'],
  command: `mediamtx settings.yml, with ${settings('SOURCE', PORT)}`,
  probe: () => onPath(says('mediamtx', ['--version'], /(v?\d\S*)/)),
  async start({ namespace, address, port, source, folder }) {
    const file = join(folder, 'settings.yml');
    writeFileSync(file, settings(source, port));
    // Newer ones have this on, older ones refuse a setting that they do not know.
    const child = await namespace.spawn('mediamtx', [file], { env: { MTX_MOQ: 'false' } });
    await tcpListening(child.pid, port, 20_000);
    return { child, url: `rtsp://${address}:${port}/camera` };
  },
};
