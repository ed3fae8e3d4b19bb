// SPDX-License-Identifier: Apache-2.0
// The viewers of one stream that use the same channel numbers. Packets of a picture are gathered and go to each of them
// in one write, at the marker bit (RFC 3550 5.1) or, where none comes, a few milliseconds after the first.
import type { PacketLayer } from '../rtp/layering.js';
import type { ChannelPair } from '../state/channels.js';
import { frameOf } from '../rtsp/interleaved.js';
import { Chunk } from './interleaved-chunk.js';
import type { InterleavedViewer } from './interleaved-viewer.js';

/** Runs it once after that time, unless the answered function is called before. */
export type After = (ms: number, run: () => void) => () => void;

/** A timer fires up to a millisecond late: no packet waits for more than 5. */
const GATHER_MS = 4;
const MARKER = 0x80;
const TIMESTAMP = 4;

export class InterleavedGroup {
  readonly #channels: ChannelPair;
  readonly #after: After;
  /** Replaced, never changed. */
  #viewers: readonly InterleavedViewer[] = [];
  /** Index of the viewer to be served first by the next chunk. */
  #first = 0;
  #chunk: Chunk | undefined;
  /** Of the last packet. */
  #timestamp: number | undefined;
  /** RTCP that came while a picture was gathered: it goes behind it. */
  #reports: Buffer[] = [];
  #cancel: (() => void) | undefined;

  constructor(channels: ChannelPair, after: After) {
    this.#channels = channels;
    this.#after = after;
  }

  get viewers(): number {
    return this.#viewers.length;
  }

  /** Bytes that have been gathered. */
  get gathered(): number {
    return this.#chunk?.length ?? 0;
  }

  add(viewer: InterleavedViewer): void {
    this.#viewers = [...this.#viewers, viewer];
  }

  drop(viewer: InterleavedViewer): void {
    this.#viewers = this.#viewers.filter((other) => other !== viewer);
    if (this.#viewers.length === 0) this.close();
  }

  /** `packet` is a whole RTP packet; `begins`: a decoder can begin with it. */
  takeRtp(packet: Buffer, begins: boolean, layer?: PacketLayer): void {
    const timestamp = packet.readUInt32BE(TIMESTAMP);
    const opens = timestamp !== this.#timestamp;
    this.#timestamp = timestamp;
    if (opens) this.#flush();
    this.#chunk ??= new Chunk(opens);
    this.#chunk.append(this.#channels[0], packet, begins, layer);
    if (packet[1]! & MARKER || this.#chunk.full) this.#flush();
    else this.#cancel ??= this.#after(GATHER_MS, () => this.#flush());
  }

  takeRtcp(packet: Buffer): void {
    const frame = frameOf(this.#channels[1], packet);
    if (this.#chunk) this.#reports.push(frame);
    else this.#sendReport(frame);
  }

  /** What has been gathered goes nowhere. */
  close(): void {
    this.#cancel?.();
    this.#cancel = this.#chunk = undefined;
    this.#reports = [];
  }

  #flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const chunk = this.#chunk;
    this.#chunk = undefined;
    if (!chunk) return;
    const viewers = this.#viewers;
    const first = this.#first % Math.max(1, viewers.length);
    this.#first = first + 1;
    for (let i = 0; i < viewers.length; i++) viewers[(first + i) % viewers.length]!.take(chunk);
    for (const report of this.#reports.splice(0)) this.#sendReport(report);
  }

  #sendReport(frame: Buffer): void {
    for (const viewer of this.#viewers) viewer.takeRtcp(frame);
  }
}
