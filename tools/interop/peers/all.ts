// SPDX-License-Identifier: Apache-2.0
// The peers that there are. A new one is a file and a line here.
import type { Cell, Role } from '../cell.js';
import type { Peer, PublisherPeer, SourcePeer, ViewerPeer } from '../peer.js';
import { camera } from './camera.js';
import { ffmpeg } from './ffmpeg.js';
import { ffmpegPublisher } from './ffmpeg-publisher.js';
import { gstRtspServer } from './gst-rtsp-server.js';
import { gstreamer } from './gstreamer.js';
import { mpv } from './mpv.js';
import { rtspClientSink } from './rtspclientsink.js';
import { vlcSource, vlcViewer } from './vlc.js';

export const PEERS: readonly Peer[] = [
  ...[ffmpeg, gstreamer, mpv, vlcViewer],
  ...[gstRtspServer, vlcSource, camera],
  ...[ffmpegPublisher, rtspClientSink],
];

/** What stands at the other end of a cell. */
export const REFERENCE = { viewer: ffmpeg, source: gstRtspServer } as const;

function find(role: Role, name: string): Peer {
  const found = PEERS.find((peer) => peer.role === role && peer.name === name);
  if (!found) throw new Error(`no ${role} is called ${name}`);
  return found;
}

/** These throw an Error where there is none of that name. */
export const peerOf = ({ role, peer }: Pick<Cell, 'role' | 'peer'>): Peer => find(role, peer);
export const viewerNamed = (name: string): ViewerPeer => find('viewer', name) as ViewerPeer;
export const sourceNamed = (name: string): SourcePeer => find('source', name) as SourcePeer;
export const publisherNamed = (name: string): PublisherPeer => find('publisher', name) as PublisherPeer;
