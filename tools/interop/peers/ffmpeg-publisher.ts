// SPDX-License-Identifier: Apache-2.0
// ffmpeg as a publisher.
import { isSecure, type PublisherPeer, urlOf } from '../peer.js';
import { ffmpeg } from './ffmpeg.js';

/** By itself it sends 1472 bytes, with IPv6 headers too many for an Ethernet frame: the kernel engines copy no fragments. */
const PACKETS = ['-pkt_size', '1400'];

export const ffmpegPublisher: PublisherPeer = {
  role: 'publisher',
  name: 'ffmpeg',
  version: () => ffmpeg.version(),
  publish: ({ where, at, transport, clip }) =>
    where.spawn('ffmpeg', [
      ...['-nostdin', '-v', 'error', '-re', '-i', clip.mp4, '-c', 'copy', '-f', 'rtsp'],
      ...(isSecure(transport) ? [] : ['-rtsp_transport', transport, ...PACKETS]),
      urlOf(isSecure(transport) ? 'rtsps' : 'rtsp', at),
    ]),
};
