// SPDX-License-Identifier: Apache-2.0
// Real players as viewers, and the judgement of what they decoded: one hash per frame, compared with the source's.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, run } from '../../tools/netns/child.js';
import type { Namespace } from '../../tools/netns/topology.js';
import { within } from '../../tools/netns/wait.js';
import { startIn, temporaryFolder } from './product.js';

export const GOP = 25;
const WIDTH = 320;
const HEIGHT = 240;
const FRAME_BYTES = (WIDTH * HEIGHT * 3) / 2;
const PLAY_TIMEOUT_MS = 30_000;

/** A clip in which no two frames look alike: `seconds` of 25 pictures a second, about 1 Mbit/s, a key frame each second. */
export async function makeClip(folder: string, seconds: number): Promise<string> {
  const file = join(folder, 'clip.mp4');
  await run('ffmpeg', [
    ...['-v', 'error', '-f', 'lavfi', '-i', `testsrc2=size=${WIDTH}x${HEIGHT}:rate=25:duration=${seconds}`],
    ...['-c:v', 'libx264', '-profile:v', 'baseline', '-preset', 'ultrafast', '-b:v', '1M', '-maxrate', '1M'],
    ...['-bufsize', '500k', '-g', String(GOP), '-sc_threshold', '0', '-pix_fmt', 'yuv420p', file],
  ]);
  return file;
}

/** Of the output of ffmpeg's framemd5 muxer. */
export const hashes = (framemd5: string): string[] =>
  framemd5
    .split('\n')
    .filter((line) => line && !line.startsWith('#'))
    .map((line) => line.split(',').at(-1)!.trim());

const FRAMEMD5 = ['-fps_mode', 'passthrough', '-f', 'framemd5', '-'];

/** MD5 of each decoded frame of a file, in order. */
export async function frameHashes(file: string): Promise<string[]> {
  return hashes(await run('ffmpeg', ['-v', 'error', '-i', file, '-an', ...FRAMEMD5]));
}

export interface Player {
  readonly child: Child;
  /** Waits for the end, then the MD5 of each frame that it decoded. */
  frames(): Promise<string[]>;
}

/**
 * About 1 in 60 times rtspsrc sends its PAUSE after its own TEARDOWN has closed the connection, and gst-launch exits
 * with 1 when all frames are long written. Seen with GStreamer 1.22 straight against gst-rtsp-server, no proxy between.
 */
const RTSPSRC_LATE_PAUSE = /gst_rtspsrc_pause \(\).*\n?.*Could not send message\. \(Received end-of-file\)/;

/** @throws with its output when it fails, or has not ended in time. */
export async function finished(child: Child, quirk?: RegExp): Promise<void> {
  const exit = await within(`the end of: ${child.command}`, child.exited, PLAY_TIMEOUT_MS).catch(
    async (error: Error) => {
      await child.stop('SIGKILL');
      throw new Error(`${error.message}\n${child.describe()}`);
    },
  );
  if (exit.code !== 0 && !quirk?.test(child.stderr))
    throw new Error(`the player failed: ${child.describe()}`);
}

/** `tunnel`: RTSP over HTTP; `secure`: rtsps://, whoever has signed the certificate; `secure-tunnel`: over HTTPS. */
export type Delivery = 'unicast' | 'multicast' | 'interleaved' | 'tunnel' | 'secure' | 'secure-tunnel';

const FFMPEG_TRANSPORT = {
  ...{ unicast: 'udp', multicast: 'udp_multicast', interleaved: 'tcp' },
  ...{ tunnel: 'http', secure: 'tcp', 'secure-tunnel': 'https' },
};
const GSTREAMER_PROTOCOLS = {
  ...{ unicast: 'udp', multicast: 'udp-mcast', interleaved: 'tcp' },
  ...{ tunnel: 'tcp+http', secure: 'tcp+tls', 'secure-tunnel': 'tcp+http+tls' },
};

/** ffmpeg; leaves after `frames` frames, or plays until it is stopped. */
export async function ffmpeg(
  where: Namespace | undefined,
  url: string,
  frames?: number,
  delivery: Delivery = 'unicast',
): Promise<Player> {
  const limit = frames === undefined ? [] : ['-frames:v', String(frames)];
  const child = await startIn(where, 'ffmpeg', [
    ...[
      '-nostdin',
      '-v',
      'error',
      '-rtsp_transport',
      FFMPEG_TRANSPORT[delivery],
      '-i',
      url,
      '-an',
      ...limit,
      ...FRAMEMD5,
    ],
  ]);
  return { child, frames: () => finished(child).then(() => hashes(child.stdout)) };
}

/** MD5 of each frame of a file of raw ones, in order. */
function rawHashes(file: string): string[] {
  const bytes = readFileSync(file);
  if (bytes.length % FRAME_BYTES) throw new Error(`${bytes.length} bytes are no whole frames`);
  return Array.from({ length: bytes.length / FRAME_BYTES }, (_, i) =>
    createHash('md5')
      .update(bytes.subarray(i * FRAME_BYTES, (i + 1) * FRAME_BYTES))
      .digest('hex'),
  );
}

/** ffmpeg that goes to `seconds` at once (PLAY, PAUSE, PLAY with Range); leaves after `frames` frames. */
export async function ffmpegFrom(
  seconds: number,
  where: Namespace | undefined,
  url: string,
  frames: number,
  delivery: Delivery = 'unicast',
): Promise<Player> {
  const child = await startIn(where, 'ffmpeg', [
    ...['-nostdin', '-v', 'error', '-rtsp_transport', FFMPEG_TRANSPORT[delivery], '-ss', `${seconds}`],
    ...['-i', url, '-an', '-frames:v', `${frames}`, ...FRAMEMD5],
  ]);
  return { child, frames: () => finished(child).then(() => hashes(child.stdout)) };
}

/** GStreamer that plays, goes to `seconds`, and leaves `frames` frames later; only these are told. */
export async function gstreamerTo(
  seconds: number,
  where: Namespace | undefined,
  url: string,
  frames: number,
  delivery: Delivery = 'unicast',
): Promise<Player> {
  const raw = join(temporaryFolder(), 'frames.yuv');
  const program = ['test/fixtures/gst-seek.py', url, raw, `${frames}`, GSTREAMER_PROTOCOLS[delivery]];
  const child = await startIn(where, '/usr/bin/python3', program);
  await child.output(/playing/, PLAY_TIMEOUT_MS);
  child.write(`${seconds}\n`);
  return { child, frames: () => finished(child).then(() => rawHashes(raw)) };
}

/** GStreamer's rtspsrc; leaves after `frames` frames. */
export async function gstreamer(
  where: Namespace | undefined,
  url: string,
  frames: number,
  delivery: Delivery = 'unicast',
): Promise<Player> {
  const raw = join(temporaryFolder(), 'frames.yuv');
  const child = await startIn(where, 'gst-launch-1.0', [
    ...[
      '-q',
      'rtspsrc',
      `location=${url}`,
      `protocols=${GSTREAMER_PROTOCOLS[delivery]}`,
      ...(delivery.startsWith('secure') ? ['tls-validation-flags=0'] : []),
      'latency=200',
      '!',
      'rtph264depay',
      '!',
      'h264parse',
    ],
    ...['!', 'avdec_h264', '!', 'video/x-raw,format=I420', '!', 'identity', `eos-after=${frames}`],
    ...['!', 'filesink', `location=${raw}`],
  ]);
  return {
    child,
    frames: async () => {
      await finished(child, RTSPSRC_LATE_PAUSE);
      return rawHashes(raw);
    },
  };
}

/**
 * Undefined when the frames are the source's, each in its place, from a key frame on; else what is wrong. A player
 * may show something of its own before its first key frame, less than a GOP of it.
 */
export function difference(
  played: readonly string[],
  source: readonly string[],
  atLeast: number,
): string | undefined {
  const isKey = (hash: string) => {
    const at = source.indexOf(hash);
    return at >= 0 && at % GOP === 0;
  };
  const start = played.findIndex(isKey);
  if (start < 0) return `none of ${played.length} frames is a key frame of the source`;
  if (start >= GOP) return `${start} frames before the first key frame`;
  const from = source.indexOf(played[start]!);
  const rest = played.slice(start);
  const wrong = rest.findIndex((hash, i) => hash !== source[from + i]);
  if (wrong >= 0) {
    const found = source.indexOf(rest[wrong]!);
    const is = found < 0 ? 'no frame of the source' : `the source's frame ${found}`;
    return `frame ${wrong} of ${rest.length} should be the source's frame ${from + wrong} and is ${is}`;
  }
  return rest.length < atLeast ? `only ${rest.length} frames, wanted ${atLeast}` : undefined;
}
