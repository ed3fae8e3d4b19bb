// SPDX-License-Identifier: Apache-2.0
// The bandwidth of a stream's layers, as the kernel program keeps it in shared memory: read without a system call.
import type { StreamLayers } from '../path/ports.js';
import { LAYERS, rollRates } from '../rtp/layer-rates.js';
import { Notion, Stream } from './abi.gen.js';

const NOTIONS = new Map<number, StreamLayers['notion']>([
  [Notion.DEPENDENCY, 'dependency'],
  [Notion.TEMPORAL, 'temporal'],
  [Notion.SPATIAL, 'spatial'],
]);
/** The program may end a window while it is read. */
const TRIES = 3;

/** Of the stream with that index, as they are at that time (CLOCK_MONOTONIC): windows that ended without a packet count. */
export function readLayers(streams: DataView, index: number, nowNs: bigint): StreamLayers {
  const at = index * Stream.SIZE;
  const u64 = (field: number, i = 0) => streams.getBigUint64(at + field + 8 * i, true);
  const each = (field: number) => Array.from({ length: LAYERS }, (_, layer) => u64(field, layer));
  for (let tries = 1; ; tries++) {
    const windowNs = u64(Stream.layerWindowNs);
    const state = { windowNs, bytes: each(Stream.layerBytes), averages: each(Stream.layerAverage) };
    if (u64(Stream.layerWindowNs) !== windowNs && tries < TRIES) continue;
    rollRates(state, nowNs);
    const notion = NOTIONS.get(streams.getUint32(at + Stream.notion, true));
    return { notion, averages: state.averages.map(Number) };
  }
}
