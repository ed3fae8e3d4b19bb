// SPDX-License-Identifier: Apache-2.0
// The file of packets that viewers-worker.ts keeps of its first viewer.
import { readFileSync } from 'node:fs';

export interface Kept {
  /** Seconds from the beginning. */
  readonly at: number;
  readonly packet: Buffer;
}

/** `beginMs`: milliseconds since 1970 that times count from. */
export function readPackets(file: string, beginMs: number): Kept[] {
  const all = readFileSync(file);
  const packets: Kept[] = [];
  for (let at = 0; at + 12 <= all.length;) {
    const length = all.readUInt32BE(at);
    packets.push({
      at: (all.readDoubleBE(at + 4) - beginMs) / 1000,
      packet: all.subarray(at + 12, at + 12 + length),
    });
    at += 12 + length;
  }
  return packets;
}
