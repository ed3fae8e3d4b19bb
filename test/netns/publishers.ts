// SPDX-License-Identifier: Apache-2.0
// Real publishers: ffmpeg, and GStreamer's rtspclientsink, with a clip at the pace of its pictures.
import type { Child } from '../../tools/netns/child.js';
import type { Namespace } from '../../tools/netns/topology.js';
import { startIn } from './product.js';

export type Publisher = (
  where: Namespace | undefined,
  file: string,
  url: string,
  transport: 'udp' | 'tcp' | 'tcp+http',
) => Promise<Child>;

/** Again and again. */
export const publishWithFfmpeg: Publisher = (where, file, url, transport) =>
  startIn(where, 'ffmpeg', [
    ...['-nostdin', '-v', 'error', '-re', '-stream_loop', '-1', '-i', file, '-an', '-c', 'copy'],
    ...['-f', 'rtsp', '-rtsp_transport', transport, url],
  ]);

/** Once. */
export const publishWithGStreamer: Publisher = (where, file, url, transport) =>
  startIn(where, 'gst-launch-1.0', [
    ...['-q', 'filesrc', `location=${file}`, '!', 'qtdemux', '!', 'h264parse', '!', 'identity', 'sync=true'],
    ...['!', 'rtspclientsink', `location=${url}`, `protocols=${transport}`, 'latency=0'],
  ]);
