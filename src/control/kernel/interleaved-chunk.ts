// SPDX-License-Identifier: Apache-2.0
// What goes to interleaved viewers in one write: RTP packets of one picture, framed one behind the other in one buffer that
// all viewers with the same channels share.
import type { PacketLayer } from '../rtp/layering.js';
import { FRAME_HEADER, putFrame } from '../rtsp/interleaved.js';

interface ChunkPacket {
  readonly channel: number;
  readonly at: number;
  readonly length: number;
  readonly layer: PacketLayer | undefined;
}

const ROOM = 4096;
/** A picture that is larger goes out in several writes. */
const MOST_BYTES = 256 * 1024;

export class Chunk {
  /** Its first packet is the first of a picture. */
  readonly opens: boolean;
  #buffer = Buffer.allocUnsafeSlow(ROOM);
  #length = 0;
  readonly #starts: number[] = [];
  readonly #packets: ChunkPacket[] = [];
  /** For viewers that are thinned: what several of them get alike. */
  readonly #thinned = new Map<string, Buffer>();
  #beginsAt: number | undefined;
  /** What most viewers get. */
  #whole: Buffer | undefined;

  constructor(opens: boolean) {
    this.opens = opens;
  }

  /** Bytes with their frame headers. */
  get length(): number {
    return this.#length;
  }

  get full(): boolean {
    return this.#length >= MOST_BYTES;
  }

  /** Offset of the first packet that a decoder can begin with. */
  get beginsAt(): number | undefined {
    return this.#beginsAt;
  }

  /** `layer`: undefined where nobody is thinned. */
  append(channel: number, packet: Buffer, begins: boolean, layer?: PacketLayer): void {
    const needed = this.#length + FRAME_HEADER + packet.length;
    if (needed > this.#buffer.length) this.#grow(needed);
    if (begins) this.#beginsAt ??= this.#length;
    this.#starts.push(this.#length);
    this.#packets.push({ channel, at: this.#length + FRAME_HEADER, length: packet.length, layer });
    this.#length = putFrame(this.#buffer, this.#length, channel, packet);
  }

  /** From an offset on, at which a packet begins: a view. Nothing may be appended any more. */
  from(offset: number): Buffer {
    if (offset > 0) return this.#buffer.subarray(offset, this.#length);
    return (this.#whole ??= this.#buffer.subarray(0, this.#length));
  }

  /** Packets from that offset on. */
  packetsFrom(offset: number): number {
    if (offset === 0) return this.#starts.length;
    return this.#starts.filter((start) => start >= offset).length;
  }

  /** Those from that offset on, whose bytes are views. */
  *packetsOf(offset: number): Generator<{
    readonly channel: number;
    readonly packet: Buffer;
    readonly layer: PacketLayer | undefined;
  }> {
    for (const { channel, at, length, layer } of this.#packets)
      if (at > offset) yield { channel, packet: this.#buffer.subarray(at, at + length), layer };
  }

  /** What `make` makes, once for all with that key. */
  shared(key: string, make: () => Buffer): Buffer {
    const bytes = this.#thinned.get(key) ?? make();
    this.#thinned.set(key, bytes);
    return bytes;
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(2 * needed);
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
