// SPDX-License-Identifier: Apache-2.0
// One interleaved viewer: whether it gets a chunk, from which packet on, and what it got. One that is too slow misses whole
// pictures and goes on where a decoder can.
import type { Interleaved, ViewerCounters, ViewerHandle, ViewerSpec } from '../path/ports.js';
import { FRAME_HEADER, frameOf } from '../rtsp/interleaved.js';
import { Thinning } from '../rtp/thinning.js';
import type { Chunk } from './interleaved-chunk.js';
import { ThinnedTally } from './thinned-tally.js';
import { thinChunk, type ThinnedChunk } from './interleaved-thinning.js';
import type { Beginning } from './userspace-viewer.js';

/** What a viewer needs of its stream. */
export interface ViewerRules {
  /** Name in SDP; empty: not known. */
  readonly encoding: string;
  nowNs(): bigint;
  /** Until when one that comes, or has room again, now waits at most for a picture that a decoder can begin with; undefined: it does not. */
  holdUntilNs(): bigint | undefined;
  onDrop(packets: number): void;
}

export class InterleavedViewer implements ViewerHandle {
  readonly servedBy = 'userspace';
  readonly id: number;
  readonly first: ViewerHandle['first'];
  /** The next packet to be sent to it from the cache; undefined: it gets the live ones. */
  next: number | undefined;
  readonly #interleaved: Interleaved;
  readonly #rules: ViewerRules;
  readonly #gone: () => void;
  /** Where in the next chunk it begins: what is before that it has, or is not to get. */
  #from = 0;
  #holdUntilNs: bigint | undefined;
  #dropping = false;
  /** It was too slow, and has room again: from then on it goes on with any picture. */
  #resumeByNs: bigint | undefined;
  #removed = false;
  #packets = 0;
  #bytes = 0;
  #rtcpPackets = 0;
  #drops = 0;
  #pictures = 0;
  #held = 0;
  readonly thinning: Thinning;
  readonly thinned = new ThinnedTally();

  constructor(
    spec: ViewerSpec & { readonly interleaved: Interleaved },
    rules: ViewerRules,
    gone: () => void,
    { first, next, holdUntilNs }: Beginning,
  ) {
    this.id = spec.id;
    this.first = first;
    this.next = next;
    this.#interleaved = spec.interleaved;
    this.thinning = new Thinning(spec.rewrite !== false);
    this.#rules = rules;
    this.#gone = gone;
    this.#holdUntilNs = holdUntilNs;
  }

  get removed(): boolean {
    return this.#removed;
  }

  get heldBack(): boolean {
    return !this.#removed && this.#holdUntilNs !== undefined && this.#packets === 0;
  }

  /** No more of the cache may be sent before there is room again. */
  get full(): boolean {
    const { sink, queueBytes } = this.#interleaved;
    return sink.queued > queueBytes;
  }

  /**
   * From now on it gets live packets: those of the chunk under way from that offset on, or, where it is held back, from the
   * packet on that a picture begins with.
   */
  goLive(from: number, holdUntilNs?: bigint): void {
    this.next = undefined;
    this.#holdUntilNs = holdUntilNs;
    this.#from = holdUntilNs === undefined ? from : 0;
  }

  /** The live packets. */
  take(chunk: Chunk): void {
    if (this.#removed || this.next !== undefined) return; // it comes from the cache
    const from = this.#from;
    this.#from = 0;
    const start = this.#startIn(chunk, from);
    if (start !== undefined) this.send(chunk, start);
  }

  /** All of a chunk from that offset on, whatever waits already. */
  send(chunk: Chunk, from: number): void {
    const { bytes, packets } = this.thinning.isPlain
      ? { bytes: chunk.from(from), packets: chunk.packetsFrom(from) }
      : this.#thin(chunk, from);
    if (bytes.length === 0) return;
    this.#packets += packets;
    this.#bytes += bytes.length - packets * FRAME_HEADER;
    this.#interleaved.sink.send(bytes);
  }

  takeRtcp(frame: Buffer): void {
    if (this.#removed) return;
    if (this.#isQueued(2)) {
      this.#drops++;
      this.#rules.onDrop(1);
      return;
    }
    this.#rtcpPackets++;
    const compound = frame.subarray(FRAME_HEADER);
    const report = this.thinned.report(compound);
    this.#interleaved.sink.send(report === compound ? frame : frameOf(frame[1]!, report));
  }

  counters(): ViewerCounters {
    return {
      packets: this.#packets,
      bytes: this.#bytes,
      rtcpPackets: this.#rtcpPackets,
      drops: this.#drops,
      held: this.#held,
      pictures: this.#pictures,
      thinned: this.thinned.packets,
      thinnedBytes: this.thinned.bytes,
    };
  }

  allow(layer: number): void {
    this.thinning.allowance = layer;
  }

  /** TCP tells by its queue how much it can take. */
  loss(): void {}

  remove(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.#gone();
  }

  #thin(chunk: Chunk, from: number): ThinnedChunk {
    const thinned = thinChunk(chunk, from, this, this.#rules.encoding);
    this.#drops += thinned.unknown;
    if (thinned.unknown > 0) this.#rules.onDrop(thinned.unknown);
    return thinned;
  }

  /** Undefined: nothing of the chunk is for it. */
  #startIn(chunk: Chunk, from: number): number | undefined {
    if (this.#holdUntilNs !== undefined) return this.#startHeld(chunk);
    if (this.#dropping) return this.#startAgain(chunk, from);
    // A picture that has been begun is finished, unless it is very large.
    if (!this.#isQueued(chunk.opens ? 1 : 2)) return from;
    this.#dropping = true;
    this.#drop(chunk, from, chunk.length, true);
    this.#interleaved.dropping(true);
    return undefined;
  }

  #startHeld(chunk: Chunk): number | undefined {
    const inTime = this.#rules.nowNs() < this.#holdUntilNs!;
    const start = chunk.beginsAt ?? (inTime ? undefined : 0);
    this.#held += chunk.packetsFrom(0) - (start === undefined ? 0 : chunk.packetsFrom(start));
    if (start !== undefined) this.#holdUntilNs = undefined;
    return start;
  }

  #startAgain(chunk: Chunk, from: number): number | undefined {
    const start = this.#isQueued(0.5) ? undefined : this.#startWithRoom(chunk);
    if (start === undefined) {
      this.#drop(chunk, from, chunk.length, chunk.opens);
      return undefined;
    }
    this.#drop(chunk, 0, start, false);
    this.#dropping = false;
    this.#resumeByNs = undefined;
    this.#interleaved.dropping(false);
    return start;
  }

  /** Some cameras send one key frame and no other (intra refresh): then it waits no longer than one that joins. */
  #startWithRoom(chunk: Chunk): number | undefined {
    const { nowNs, holdUntilNs } = this.#rules;
    this.#resumeByNs ??= holdUntilNs() ?? nowNs();
    if (chunk.beginsAt !== undefined) return chunk.beginsAt;
    return chunk.opens && nowNs() >= this.#resumeByNs ? 0 : undefined;
  }

  #isQueued(limits: number): boolean {
    const { sink, queueBytes } = this.#interleaved;
    return sink.queued > limits * queueBytes;
  }

  /** Packets from one offset to another are not sent. */
  #drop(chunk: Chunk, from: number, to: number, isPicture: boolean): void {
    const packets = chunk.packetsFrom(from) - (to < chunk.length ? chunk.packetsFrom(to) : 0);
    if (isPicture) this.#pictures++;
    this.#drops += packets;
    if (packets > 0) this.#rules.onDrop(packets);
  }
}
