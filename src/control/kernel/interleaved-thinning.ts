// SPDX-License-Identifier: Apache-2.0
// What of a chunk goes to an interleaved viewer that does not get all layers. Viewers to which the same packets go with the
// same numbers share the bytes.
import { frameOf } from '../rtsp/interleaved.js';
import type { Thinning } from '../rtp/thinning.js';
import type { Chunk } from './interleaved-chunk.js';
import { ThinnedCopies } from './thinned-copies.js';

export interface ThinnedChunk {
  readonly bytes: Buffer;
  /** In `bytes`. */
  readonly packets: number;
  readonly withheld: number;
  readonly withheldBytes: number;
  /** Dropped, for their numbers are not known. */
  readonly unknown: number;
}

/** From that offset on. */
export function thinChunk(chunk: Chunk, from: number, thinning: Thinning, encoding: string): ThinnedChunk {
  const kept: Buffer[] = [];
  const key: string[] = [`${from}`];
  const left = { withheld: 0, withheldBytes: 0, unknown: 0 };
  let channelOf = 0;
  for (const { channel, packet, layer } of chunk.packetsOf(from)) {
    channelOf = channel;
    const copy = layer && new ThinnedCopies(packet, layer, encoding).for(thinning);
    if (copy?.is === 'unknown') left.unknown++;
    if (copy?.is === 'withheld') {
      left.withheld++;
      left.withheldBytes += packet.length;
    }
    const end = copy?.is === 'withheld' ? copy.end : undefined;
    const sent = !copy ? packet : copy.is === 'sent' ? copy.packet : end;
    key.push(sent ? `${end ? 'end' : ''}${sent.toString('latin1', 1, 4)}` : '-');
    if (sent) kept.push(sent);
  }
  const make = () => Buffer.concat(kept.map((packet) => frameOf(channelOf, packet)));
  return { bytes: chunk.shared(key.join(), make), packets: kept.length, ...left };
}
