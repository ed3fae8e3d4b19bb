// SPDX-License-Identifier: Apache-2.0
// The user-space engine: copies RTP with ordinary sockets. The fallback without CAP_BPF, and the baseline that the
// kernel engines are compared with.
import type { Datapath, DropCount, StreamHandle, StreamSpec } from '../path/ports.js';
import { Tally } from '../state/tally.js';
import { DROP_REASONS } from './drop-reasons.js';
import type { PictureOptions } from './picture-options.js';
import { UserspacePictures } from './userspace-pictures.js';
import { UserspaceStream } from './userspace-stream.js';

export interface UserspaceOptions {
  /** Why this engine: a sentence for people. */
  readonly why?: string;
  readonly pictures?: PictureOptions;
  /** CLOCK_MONOTONIC, nanoseconds; injected by tests. */
  readonly monotonicNs?: () => bigint;
}

export class UserspaceDatapath implements Datapath {
  readonly engine = 'userspace';
  readonly why: string;
  readonly pictures: UserspacePictures;
  readonly #monotonicNs: () => bigint;
  readonly #streams = new Set<UserspaceStream>();
  readonly #drops = new Tally();

  constructor(options: UserspaceOptions = {}) {
    this.why = options.why ?? 'it was asked for';
    this.#monotonicNs = options.monotonicNs ?? process.hrtime.bigint;
    this.pictures = new UserspacePictures(options.pictures, this.#monotonicNs);
  }

  async open(spec: StreamSpec): Promise<StreamHandle> {
    const stream = new UserspaceStream(spec, {
      monotonicNs: this.#monotonicNs,
      pictures: this.pictures.open(spec.encoding),
      onDrop: (reason) => this.#drops.add(reason),
      onClose: () => this.#streams.delete(stream),
    });
    this.#streams.add(stream);
    return stream;
  }

  drops(): DropCount[] {
    return DROP_REASONS.map((reason) => ({ reason, count: this.#drops.get(reason) }));
  }

  facts(): Record<string, string | number> {
    const streams = [...this.#streams];
    return {
      tracks: streams.length,
      'viewers of all tracks': streams.reduce((sum, stream) => sum + stream.viewers, 0),
      'sends outstanding': streams.reduce((sum, stream) => sum + stream.outstanding, 0),
    };
  }

  async close(): Promise<void> {
    for (const stream of [...this.#streams]) stream.close();
    this.pictures.close();
  }
}
