// SPDX-License-Identifier: Apache-2.0
// The channels that a publisher sends on within its RTSP connection (RFC 2326 10.12), as those of a source's connection.

import { frameOf } from '../rtsp/interleaved.js';
import type { InterleavedFrame } from '../rtsp/message.js';
import type { ViewerLink } from './ports.js';
import type { Frames } from './source-interleaved.js';

export class PublisherFrames implements Frames {
  readonly #link: ViewerLink;
  readonly #mostQueued: number;
  readonly #channels = new Map<number, (payload: Buffer) => void>();

  /** With more than `mostQueued` bytes unread, the publisher gets no more reports. */
  constructor(link: ViewerLink, mostQueued: number) {
    this.#link = link;
    this.#mostQueued = mostQueued;
  }

  freeChannel(): number | undefined {
    for (let low = 0; low < 256; low += 2) if (this.areFree(low, low + 1)) return low;
    return undefined;
  }

  areFree(low: number, high: number): boolean {
    return !this.#channels.has(low) && !this.#channels.has(high);
  }

  onFrame(channel: number, handler: (payload: Buffer) => void): boolean {
    if (this.#channels.has(channel)) return false;
    this.#channels.set(channel, handler);
    return true;
  }

  sendFrame(channel: number, payload: Buffer): void {
    if (this.#link.queued <= this.#mostQueued) this.#link.send(frameOf(channel, payload));
  }

  /** False: nothing was set up on that channel. */
  receive({ channel, payload }: InterleavedFrame): boolean {
    const handler = this.#channels.get(channel);
    handler?.(payload);
    return handler !== undefined;
  }

  /** Another SETUP takes its place. */
  forget(low: number, high: number): void {
    this.#channels.delete(low);
    this.#channels.delete(high);
  }

  close(): void {
    this.#channels.clear();
  }
}
