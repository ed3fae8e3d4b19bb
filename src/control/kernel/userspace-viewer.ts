// SPDX-License-Identifier: Apache-2.0
// One viewer that this process serves: where it listens, what it got, what it reported.
import type { Endpoint, ViewerCounters, ViewerHandle, ViewerSpec } from '../path/ports.js';

type Loss = Parameters<ViewerHandle['loss']>[0];

export class UserspaceViewer implements ViewerHandle {
  readonly servedBy = 'userspace';
  readonly id: number;
  readonly rtp: Endpoint;
  readonly rtcp: Endpoint;
  readonly #gone: () => void;
  #removed = false;
  #packets = 0;
  #bytes = 0;
  #rtcpPackets = 0;
  #drops = 0;
  #lastLoss: Loss | undefined;

  constructor(spec: ViewerSpec, gone: () => void) {
    this.id = spec.id;
    this.rtp = { address: spec.address, port: spec.rtpPort };
    this.rtcp = { address: spec.address, port: spec.rtcpPort };
    this.#gone = gone;
  }

  get removed(): boolean {
    return this.#removed;
  }

  get lastLoss(): Loss | undefined {
    return this.#lastLoss;
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
    return { packets: this.#packets, bytes: this.#bytes, rtcpPackets: this.#rtcpPackets, drops: this.#drops };
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
