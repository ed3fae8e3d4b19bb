// SPDX-License-Identifier: Apache-2.0
// The peers that there are. A new one is a file and a line here.
import type { Peer, SourcePeer, ViewerPeer } from '../peer.js';
import { camera } from './camera.js';
import { ffmpeg } from './ffmpeg.js';
import { gstRtspServer } from './gst-rtsp-server.js';
import { gstreamer } from './gstreamer.js';
import { mpv } from './mpv.js';
import { vlcSource, vlcViewer } from './vlc.js';

export const PEERS: readonly Peer[] = [
  ...[ffmpeg, gstreamer, mpv, vlcViewer],
  ...[gstRtspServer, vlcSource, camera],
];

/** What stands at the other end of a cell. */
export const REFERENCE = { viewer: ffmpeg, source: gstRtspServer } as const;

/** @throws Error where there is none of that name */
export function viewerNamed(name: string): ViewerPeer {
  const found = PEERS.find((peer) => peer.role === 'viewer' && peer.name === name);
  if (found?.role !== 'viewer') throw new Error(`no viewer is called ${name}`);
  return found;
}

/** @throws Error where there is none of that name */
export function sourceNamed(name: string): SourcePeer {
  const found = PEERS.find((peer) => peer.role === 'source' && peer.name === name);
  if (found?.role !== 'source') throw new Error(`no source is called ${name}`);
  return found;
}
