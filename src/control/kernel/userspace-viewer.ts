// SPDX-License-Identifier: Apache-2.0
// One viewer that this process serves: where it listens, with what it begins, what it got, what it reported.
import type { Endpoint, UdpPair, ViewerCounters, ViewerHandle, ViewerSpec } from '../path/ports.js';

import { Thinning } from '../rtp/thinning.js';
import { ThinnedTally } from './thinned-tally.js';

type Loss = Parameters<ViewerHandle['loss']>[0];

/** With what a viewer begins: a packet of the cache and all after it, or the live ones. */
export interface Beginning {
  readonly first?: ViewerHandle['first'];
  /** That packet's number in the cache. */
  readonly next?: number | undefined;
  /** Held back until a picture begins, at most until then, nanoseconds. */
  readonly holdUntilNs?: bigint | undefined;
}

export class UserspaceViewer implements ViewerHandle {
  readonly servedBy = 'userspace';
  readonly id: number;
  readonly rtp: Endpoint;
  readonly rtcp: Endpoint;
  /** A multicast group's own; undefined: its stream's. */
  readonly senders: UdpPair | undefined;
  readonly first: ViewerHandle['first'];
  /** The next packet to be sent to it from the cache; undefined: it gets the live ones. */
  next: number | undefined;
  readonly #gone: () => void;
  #holdUntilNs: bigint | undefined;
  #removed = false;
  #packets = 0;
  #bytes = 0;
  #rtcpPackets = 0;
  #drops = 0;
  #held = 0;
  #lastLoss: Loss | undefined;
  readonly thinning: Thinning;
  readonly thinned = new ThinnedTally();

  constructor(spec: ViewerSpec, gone: () => void, { first, next, holdUntilNs }: Beginning = {}) {
    this.id = spec.id;
    this.rtp = { address: spec.address, port: spec.rtpPort };
    this.rtcp = { address: spec.address, port: spec.rtcpPort };
    this.thinning = new Thinning(spec.rewrite !== false);
    this.senders = spec.multicast?.pair;
    this.first = first;
    this.next = next;
    this.#holdUntilNs = holdUntilNs;
    this.#gone = gone;
  }

  /** RTCP goes the way of RTP (RFC 5761). */
  get muxed(): boolean {
    return this.rtp.port === this.rtcp.port;
  }

  get removed(): boolean {
    return this.#removed;
  }

  get heldBack(): boolean {
    return !this.#removed && this.#holdUntilNs !== undefined && this.#packets === 0;
  }

  get lastLoss(): Loss | undefined {
    return this.#lastLoss;
  }

  /** It could not be served from the cache to the end: on with live packets, held back until then at most. */
  goLive(holdUntilNs: bigint | undefined): void {
    this.next = undefined;
    this.#holdUntilNs = holdUntilNs;
  }

  /** Whether a live RTP packet is to be sent to it; one that is withheld is counted. `begins`: a picture begins with it. */
  takes(begins: boolean, nowNs: () => bigint): boolean {
    if (this.#removed || this.next !== undefined) return false; // it comes from the cache
    if (this.#holdUntilNs === undefined) return true;
    if (begins || nowNs() >= this.#holdUntilNs) {
      this.#holdUntilNs = undefined;
      return true;
    }
    this.#held++;
    return false;
  }

  /** `rtp` undefined: it was RTCP. */
  countSent(rtp: Buffer | undefined): void {
    if (!rtp) {
      this.#rtcpPackets++;
      return;
    }
    this.#packets++;
    this.#bytes += rtp.length;
  }

  countDrop(): void {
    this.#drops++;
  }

  counters(): ViewerCounters {
    return {
      packets: this.#packets,
      bytes: this.#bytes,
      rtcpPackets: this.#rtcpPackets,
      drops: this.#drops,
      held: this.#held,
      thinned: this.thinned.packets,
      thinnedBytes: this.thinned.bytes,
    };
  }

  allow(layer: number): void {
    this.thinning.allowance = layer;
  }

  loss(report: Loss): void {
    this.#lastLoss = report;
  }

  remove(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.#gone();
  }
}
