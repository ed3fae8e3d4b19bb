// SPDX-License-Identifier: Apache-2.0
// What of a chunk goes to an interleaved viewer that does not get all layers. Viewers to which the same packets go with the
// same numbers share the bytes.
import { frameOf } from '../rtsp/interleaved.js';
import type { Thinning } from '../rtp/thinning.js';
import type { Chunk } from './interleaved-chunk.js';
import { ThinnedCopies } from './thinned-copies.js';
import type { ThinnedTally } from './thinned-tally.js';

export interface ThinnedChunk {
  readonly bytes: Buffer;
  /** In `bytes`. */
  readonly packets: number;
  /** Dropped, for their numbers are not known. */
  readonly unknown: number;
}

export interface ThinnedViewer {
  readonly thinning: Thinning;
  readonly thinned: ThinnedTally;
}

/** From that offset on. */
export function thinChunk(chunk: Chunk, from: number, viewer: ThinnedViewer, encoding: string): ThinnedChunk {
  const kept: Buffer[] = [];
  const key: string[] = [`${from}`];
  let unknown = 0;
  let channelOf = 0;
  for (const { channel, packet, layer } of chunk.packetsOf(from)) {
    channelOf = channel;
    const copy = layer && new ThinnedCopies(packet, layer, encoding).for(viewer.thinning);
    if (copy?.is === 'unknown') unknown++;
    const end = copy?.is === 'withheld' ? copy.end : undefined;
    if (copy?.is === 'withheld') viewer.thinned.add(packet.length, layer!.octets, end !== undefined);
    const sent = !copy ? packet : copy.is === 'sent' ? copy.packet : end;
    key.push(sent ? `${end ? 'end' : ''}${sent.toString('latin1', 1, 4)}` : '-');
    if (sent) kept.push(sent);
  }
  const make = () => Buffer.concat(kept.map((packet) => frameOf(channelOf, packet)));
  return { bytes: chunk.shared(key.join(), make), packets: kept.length, unknown };
}
