// SPDX-License-Identifier: Apache-2.0
// What an RTP packet says of its layer, whatever the codec: the twin of bpf/layer.h, one table of packets
// (test/fixtures/layer-cases.ts) tests both. What a layer's number means is in docs/layers.md.
import { tellAv1, tellVp9 } from './layer-vpx.js';
import { tellH264, tellH265 } from './layer-nal.js';

/** What the number of a layer is; 'none': the packet does not say. */
export type Notion = 'none' | 'dependency' | 'temporal' | 'spatial';

/** Who may begin to get more layers at a packet: who has all below `from`, those up to `to`. `own`: the packet's layer. */
export interface Enters {
  readonly from: 'any' | 'own' | 'above';
  readonly to: 'own' | 'all';
}
export const ENTERS = {
  all: { from: 'any', to: 'all' },
  own: { from: 'any', to: 'own' },
  next: { from: 'own', to: 'own' },
  on: { from: 'own', to: 'all' },
  above: { from: 'above', to: 'all' },
} as const satisfies Record<string, Enters>;

/** Spatial (or dependency) and temporal id. */
export interface Ids {
  readonly spatial: number;
  readonly temporal: number;
}

export interface Told {
  readonly notion: Notion;
  /** The lowest of the packet's units; undefined: it has none but the rest of one. */
  readonly ids: Ids | undefined;
  /** It begins in the middle of a unit, whose ids a packet before has told. */
  readonly rest: boolean;
  /** It ends in the middle of a unit, of these ids; 'same': of those of the packet before. */
  readonly open: Ids | 'same' | undefined;
  /** As a packet of its temporal, or its spatial layer. */
  readonly enters: { readonly temporal?: Enters | undefined; readonly spatial?: Enters | undefined };
  /** H.265: a CRA picture, or a trailing one. */
  readonly picture?: 'cra' | 'trailing' | undefined;
  /** The last packet of its spatial layer's frame. */
  readonly layerEnds?: boolean;
  /** H.264 packetization mode 2: a unit needs a decoding order number. */
  readonly interleaved?: boolean;
}

export const NOTHING_TOLD: Told = {
  notion: 'none',
  ids: { spatial: 0, temporal: 0 },
  rest: false,
  open: undefined,
  enters: {},
};

/** Units of an aggregation packet that are looked at; a packet with more says nothing. */
export const MOST_UNITS = 32;

export function lower(a: Ids | undefined, b: Ids): Ids {
  if (!a) return b;
  return { spatial: Math.min(a.spatial, b.spatial), temporal: Math.min(a.temporal, b.temporal) };
}

const TELL = new Map<string, (payload: Buffer) => Told | undefined>([
  ['H264', tellH264],
  ['H264-SVC', tellH264],
  ['H265', tellH265],
  ['VP9', tellVp9],
  ['AV1', tellAv1],
]);

/** Of an RTP payload without padding. A payload that cannot be understood to its end says nothing. Never throws. */
export function tellLayer(payload: Buffer, encoding: string): Told {
  return TELL.get(encoding.toUpperCase())?.(payload) ?? NOTHING_TOLD;
}
