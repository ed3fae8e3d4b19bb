// SPDX-License-Identifier: Apache-2.0
// The camera's sockets: RTSP connections, a pair of UDP ports per track, one timer for what is due every second.

import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

import { RtspError } from '../../src/control/rtsp/errors.js';
import { Framer } from '../../src/control/rtsp/framer.js';
import { response, type RtspRequest } from '../../src/control/rtsp/message.js';
import { serialize } from '../../src/control/rtsp/serialize.js';
import { audioTrack } from './audio.js';
import { layeredTrack } from './layered.js';
import { LiveSource } from './live-source.js';
import { LiveTrack } from './live-track.js';
import { answer, type Context, type Peer } from './requests.js';
import { Sessions, type Notify } from './sessions.js';
import { slicesTrack, type SlicesOptions } from './slices.js';
import type { Track } from './track.js';
import { openUdpPair } from './udp-pair.js';
import { videoTrack, type VideoOptions } from './video.js';

export interface CameraOptions extends VideoOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** H.264 byte stream. */
  readonly clip: Buffer;
  /** Instead of the clip: a stream of eight layers (layered.ts). */
  readonly layers?: boolean;
  /** Instead of the clip: packets of one size at one rate (slices.ts). */
  readonly slices?: Pick<SlicesOptions, 'packetsPerSecond' | 'bytes'>;
  readonly audio: boolean;
  /** Paths, each a live source of its own. */
  readonly paths: readonly string[];
  /** Answer, but send nothing. */
  readonly silent: boolean;
  readonly notify?: Notify;
}

export interface Camera {
  readonly port: number;
  /** All of its paths send nothing, or go on. */
  togglePause(): void;
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 1000;
/** Bytes of answers that a client may leave unread. */
const MAX_UNREAD = 1 << 20;

/** @throws Error when the clip or the address is no good. */
export async function startCamera(options: CameraOptions): Promise<Camera> {
  const { track: video, seconds } = pictures(options);
  const tracks = options.audio ? [video, audioTrack(seconds, options.once)] : [video];
  const sessions = new Sessions(options.notify ?? (() => {}));
  const context = { sources: new Map<string, LiveSource>(), sessions };
  const connections = new Set<Socket>();
  const server = createServer((socket) => serve(socket, context, connections));
  server.maxConnections = MAX_CONNECTIONS;
  const closeSources = () => context.sources.forEach((source) => source.close());
  try {
    await listen(server, options);
    for (const path of options.paths)
      context.sources.set(path, await openSource(path, tracks, options, sessions));
  } catch (error) {
    closeSources();
    server.close();
    throw error;
  }
  const timer = setInterval(() => {
    sessions.expire(performance.now());
    for (const [path, source] of context.sources)
      if (source.watched) options.notify?.('late', { path, ms: Math.round(source.takeMostLate()) });
  }, 1000);
  const address = server.address();
  return {
    port: address !== null && typeof address === 'object' ? address.port : options.port,
    togglePause: () => context.sources.forEach((source) => source.togglePause()),
    async close() {
      clearInterval(timer);
      closeSources();
      for (const socket of connections) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function pictures(options: CameraOptions) {
  if (options.slices) return slicesTrack({ ...options, ...options.slices });
  return options.layers ? layeredTrack() : videoTrack(options.clip, options);
}

async function listen(server: Server, { host, port }: CameraOptions): Promise<void> {
  server.listen(port, host);
  await once(server, 'listening');
}

async function openSource(
  path: string,
  tracks: readonly Track[],
  { host, silent }: CameraOptions,
  sessions: Sessions,
): Promise<LiveSource> {
  const live: LiveTrack[] = [];
  const source = new LiveSource(path, live, silent);
  try {
    for (const track of tracks) {
      const sockets = await openUdpPair(host);
      sockets.rtcp.on('message', (_, from) => sessions.hear(from.address, from.port));
      live.push(new LiveTrack(track, sockets));
    }
  } catch (error) {
    source.close();
    throw error;
  }
  return source;
}

function serve(socket: Socket, context: Context, connections: Set<Socket>): void {
  const { localAddress, remoteAddress } = socket;
  if (!localAddress || !remoteAddress) return void socket.destroy();
  const peer = { localAddress: localAddress.replace(/^::ffff:(?=\d+\.)/, ''), address: remoteAddress };
  const framer = new Framer();
  connections.add(socket);
  socket.setNoDelay(true);
  socket.on('close', () => connections.delete(socket));
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    framer.push(chunk);
    while (!socket.destroyed && serveOne(socket, framer, context, peer));
  });
}

/** False when more bytes are needed. */
function serveOne(socket: Socket, framer: Framer, context: Context, peer: Peer): boolean {
  try {
    const message = framer.next();
    if (message?.kind === 'request') write(socket, message, context, peer);
    return message !== undefined;
  } catch (error) {
    if (!(error instanceof RtspError)) throw error;
    const cseq: [string, string][] = error.cseq === undefined ? [] : [['CSeq', error.cseq]];
    const refusal = serialize(response(error.status, cseq, Buffer.from(`${error.message}\r\n`, 'latin1')));
    if (error.framingIntact) {
      if (!error.isResponse) socket.write(refusal);
      return true;
    }
    socket.end(refusal, () => socket.destroy());
    return false;
  }
}

function write(socket: Socket, message: RtspRequest, context: Context, peer: Peer): void {
  const result = answer(context, message, peer);
  socket.write(serialize(result.response));
  if (socket.writableLength > MAX_UNREAD) socket.destroy();
  result.then?.();
}
