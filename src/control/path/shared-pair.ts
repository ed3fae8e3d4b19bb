// SPDX-License-Identifier: Apache-2.0
// The ports that viewers are served from, where several streams use them: a viewer that gets a session of its own goes on
// being served from the ports that its SETUP was answered with. Closed when the last who has taken it closes it.

import type { Endpoint, UdpPair } from './ports.js';

export class SharedPair implements UdpPair {
  readonly #pair: UdpPair;
  #takers = 1;

  constructor(pair: UdpPair) {
    this.#pair = pair;
  }

  /** For one more, who closes it. */
  take(): SharedPair {
    this.#takers++;
    return this;
  }

  get rtpPort(): number {
    return this.#pair.rtpPort;
  }

  get rtcpPort(): number {
    return this.#pair.rtcpPort;
  }

  onRtp(handler: (packet: Buffer, from: Endpoint) => void): void {
    this.#pair.onRtp(handler);
  }

  onRtcp(handler: (packet: Buffer, from: Endpoint) => void): void {
    this.#pair.onRtcp(handler);
  }

  sendRtp(packet: Buffer, to: Endpoint): void {
    this.#pair.sendRtp(packet, to);
  }

  sendRtcp(packet: Buffer, to: Endpoint): void {
    this.#pair.sendRtcp(packet, to);
  }

  close(): void {
    if (--this.#takers === 0) this.#pair.close();
  }
}
