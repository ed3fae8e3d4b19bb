// SPDX-License-Identifier: Apache-2.0
// The project's own camera as a source.
import { readFileSync } from 'node:fs';
import { compiled } from '../../../test/netns/product.js';
import type { SourcePeer } from '../peer.js';

export const camera: SourcePeer = {
  role: 'source',
  name: 'camera',
  version: () => (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version,
  async serve({ where, address, clip }) {
    const host = address.includes(':') ? `[${address}]` : address;
    const child = await where.spawn(process.execPath, [
      ...[compiled('tools/camera/main.js'), '--listen', `${host}:0`, '--clip', clip.h264, '--json'],
    ]);
    const [, port] = await child.output(/"listening".*"port":(\d+)/);
    return { child, port: Number(port), path: '/camera' };
  },
};
