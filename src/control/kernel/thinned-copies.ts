// SPDX-License-Identifier: Apache-2.0
// One packet's copies for viewers that do not get all layers, made by this process: those that look the same are one buffer.
import { RTP_HEADER } from '../rtp/header.js';
import type { PacketLayer } from '../rtp/layering.js';
import { pictureEnd } from '../rtp/picture-end.js';
import type { Thinning } from '../rtp/thinning.js';

/** What a viewer gets of a packet: a copy, nothing on purpose (but perhaps what stands in for a picture's end), or nothing
 * because its number is not known. */
export type ThinnedCopy =
  | { readonly is: 'sent'; readonly packet: Buffer }
  | { readonly is: 'withheld'; readonly end: Buffer | undefined }
  | { readonly is: 'unknown' };

export class ThinnedCopies {
  readonly layer: PacketLayer;
  readonly #packet: Buffer;
  readonly #encoding: string;
  /** By number and marker. */
  readonly #copies = new Map<number, Buffer>();
  readonly #ends = new Map<number, Buffer | undefined>();

  constructor(packet: Buffer, layer: PacketLayer, encoding: string) {
    this.#packet = packet;
    this.layer = layer;
    this.#encoding = encoding;
  }

  for(thinning: Thinning): ThinnedCopy {
    const taken = thinning.take(this.layer);
    if (taken === 'unknown') return { is: 'unknown' };
    if (taken !== 'withheld') return { is: 'sent', packet: this.#copy(taken.seq, taken.marked) };
    const end = thinning.takeEnd(this.layer);
    return { is: 'withheld', end: end === undefined ? undefined : this.#end(end) };
  }

  #copy(seq: number, marked: boolean): Buffer {
    const { layer } = this;
    if (seq === layer.seq && marked === layer.marked) return this.#packet;
    const key = seq * 2 + (marked ? 1 : 0);
    let copy = this.#copies.get(key);
    if (!copy) {
      copy = Buffer.from(this.#packet);
      copy.writeUInt16BE(seq, 2);
      if (marked) copy[1]! |= 0x80;
      this.#copies.set(key, copy);
    }
    return copy;
  }

  #end(seq: number): Buffer | undefined {
    if (this.#ends.has(seq)) return this.#ends.get(seq);
    const end = pictureEnd(this.#packet.subarray(0, RTP_HEADER), this.#encoding);
    end?.writeUInt16BE(seq, 2);
    this.#ends.set(seq, end);
    return end;
  }
}
