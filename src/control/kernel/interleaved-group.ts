// SPDX-License-Identifier: Apache-2.0
// The viewers of one stream that use the same channel numbers. Packets of a picture are gathered and go to each of them
// in one write, at the marker bit (RFC 3550 5.1) or, where none comes, some milliseconds after the first.
import type { PacketLayer } from '../rtp/layering.js';
import type { ChannelPair } from '../state/channels.js';
import { frameOf } from '../rtsp/interleaved.js';
import { Chunk } from './interleaved-chunk.js';
import type { InterleavedViewer } from './interleaved-viewer.js';

export interface Clock {
  /** Milliseconds, from any beginning. */
  nowMs(): number;
  /** Runs it once after that time, unless the answered function is called before. */
  afterMs(ms: number, run: () => void): () => void;
}

/** A timer fires up to a millisecond late: no packet waits for more than 5. */
const GATHER_MS = 4;
/**
 * Where pictures end with a marker, a decoder shows nothing of one before that has come, and it lets the rest go at once. So
 * packets before it may wait longer if there are many viewers, up to a picture at 25 a second: then pictures that are not
 * complete take no more than a tenth of the processor.
 */
const GATHER_PICTURE_MS = 40;
const TURNS = 10;
const MARKER = 0x80;
const TIMESTAMP = 4;

export class InterleavedGroup {
  readonly #channels: ChannelPair;
  readonly #clock: Clock;
  /** Replaced, never changed. */
  #viewers: readonly InterleavedViewer[] = [];
  /** Index of the viewer to be served first by the next chunk. */
  #first = 0;
  #chunk: Chunk | undefined;
  /** Of the last packet. */
  #timestamp: number | undefined;
  #marked = false;
  /** The last picture ended with a marker, so this one can be expected to. */
  #marks = false;
  /** What the last chunk took to be written to all. */
  #turnMs = 0;
  /** RTCP that came while a picture was gathered: it goes behind it. */
  #reports: Buffer[] = [];
  #cancel: (() => void) | undefined;

  constructor(channels: ChannelPair, clock: Clock) {
    this.#channels = channels;
    this.#clock = clock;
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
    if (opens) {
      this.flush();
      this.#marks = this.#marked;
    }
    this.#marked = (packet[1]! & MARKER) !== 0;
    this.#chunk ??= new Chunk(opens);
    this.#chunk.append(this.#channels[0], packet, begins, layer);
    if (this.#marked || this.#chunk.full) this.flush();
    else this.#cancel ??= this.#clock.afterMs(this.#gatherMs, () => this.flush());
  }

  takeRtcp(packet: Buffer): void {
    const frame = frameOf(this.#channels[1], packet);
    if (this.#chunk) this.#reports.push(frame);
    else this.#sendReport(frame);
  }

  /** What has been gathered goes out. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const chunk = this.#chunk;
    this.#chunk = undefined;
    if (!chunk) return;
    const began = this.#clock.nowMs();
    const viewers = this.#viewers;
    const first = this.#first % Math.max(1, viewers.length);
    this.#first = first + 1;
    for (let i = 0; i < viewers.length; i++) viewers[(first + i) % viewers.length]!.take(chunk);
    this.#turnMs = this.#clock.nowMs() - began;
    for (const report of this.#reports.splice(0)) this.#sendReport(report);
  }

  /** What has been gathered goes nowhere. */
  close(): void {
    this.#cancel?.();
    this.#cancel = this.#chunk = undefined;
    this.#reports = [];
  }

  get #gatherMs(): number {
    if (!this.#marks) return GATHER_MS;
    return Math.min(GATHER_PICTURE_MS, Math.max(GATHER_MS, TURNS * this.#turnMs));
  }

  #sendReport(frame: Buffer): void {
    for (const viewer of this.#viewers) viewer.takeRtcp(frame);
  }
}
