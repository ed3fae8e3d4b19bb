// SPDX-License-Identifier: Apache-2.0
// What every source shows: one clip in the containers that they read, and the hash of each of its pictures.
import { join } from 'node:path';
import { frameHashes, makeClip } from '../../test/netns/players.js';
import { run } from '../netns/child.js';

/** A source starts with its cell, and shows it once. */
const SECONDS = 45;

export interface Clip {
  readonly mp4: string;
  /** With a second track, AAC. */
  readonly withSound: string;
  /** A byte stream. */
  readonly h264: string;
  readonly hashes: readonly string[];
}

export async function newClip(folder: string): Promise<Clip> {
  const mp4 = await makeClip(folder, SECONDS);
  const [withSound, h264] = [join(folder, 'sound.mp4'), join(folder, 'clip.h264')];
  const ffmpeg = (...args: string[]) => run('ffmpeg', ['-v', 'error', ...args]);
  const tone = ['-f', 'lavfi', '-i', `sine=frequency=440:duration=${SECONDS}`];
  await ffmpeg('-i', mp4, ...tone, '-c:v', 'copy', '-c:a', 'aac', withSound);
  await ffmpeg('-i', mp4, '-c', 'copy', '-bsf:v', 'h264_mp4toannexb', h264);
  return { mp4, withSound, h264, hashes: await frameHashes(mp4) };
}
