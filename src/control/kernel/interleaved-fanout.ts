// SPDX-License-Identifier: Apache-2.0
// A stream's interleaved viewers, in groups with the same channels. Each begins as a viewer by UDP does: from the picture
// cache, or held back until a picture begins.
import type { Interleaved, ViewerHandle, ViewerSpec } from '../path/ports.js';
import type { PacketLayer } from '../rtp/layering.js';
import { Chunk } from './interleaved-chunk.js';
import { InterleavedGroup, type Clock } from './interleaved-group.js';
import { InterleavedViewer, type ViewerRules } from './interleaved-viewer.js';
import type { StreamPictures } from './userspace-pictures.js';
import type { Beginning } from './userspace-viewer.js';

export type InterleavedSpec = ViewerSpec & { readonly interleaved: Interleaved };

export function isInterleaved(spec: ViewerSpec): spec is InterleavedSpec {
  return spec.interleaved !== undefined;
}

export class InterleavedFanout {
  readonly #pictures: StreamPictures;
  readonly #rules: ViewerRules;
  readonly #clock: Clock;
  readonly #viewers = new Map<number, InterleavedViewer>();
  /** By their channels. */
  readonly #groups = new Map<string, InterleavedGroup>();

  /** `onDrop` hears how many packets a viewer did not get. */
  constructor(pictures: StreamPictures, onDrop: (packets: number) => void, clock: Clock = CLOCK) {
    this.#pictures = pictures;
    this.#clock = clock;
    const { nowNs, holdUntilNs, encoding } = pictures;
    this.#rules = { nowNs, holdUntilNs, onDrop, encoding };
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  has(id: number): boolean {
    return this.#viewers.has(id);
  }

  /** `gone` is called when it is removed. */
  add(spec: InterleavedSpec, beginning: Beginning, gone: () => void): ViewerHandle {
    const { joins } = this.#pictures;
    const group = this.#groupOf(spec);
    const join = { step: (packets: number) => this.#catchUp(viewer, group, spec.rtpPort, packets) };
    const left = () => {
      joins.end(join);
      this.#viewers.delete(spec.id);
      group.drop(viewer);
      if (group.viewers === 0) this.#groups.delete(keyOf(spec));
      gone();
    };
    const viewer = new InterleavedViewer(spec, this.#rules, left, beginning);
    this.#viewers.set(spec.id, viewer);
    group.add(viewer);
    if (viewer.next !== undefined) joins.begin(join);
    else viewer.goLive(group.gathered, beginning.holdUntilNs);
    return viewer;
  }

  forwardRtp(packet: Buffer, begins: boolean, layer?: PacketLayer): void {
    for (const group of this.#groups.values()) group.takeRtp(packet, begins, layer);
  }

  forwardRtcp(packet: Buffer): void {
    for (const group of this.#groups.values()) group.takeRtcp(packet);
  }

  /** What has been gathered is of before. */
  countAnew(): void {
    for (const group of this.#groups.values()) group.flush();
    for (const { thinned } of this.#viewers.values()) thinned.countAnew();
  }

  /** Removes all viewers. */
  close(): void {
    for (const viewer of [...this.#viewers.values()]) viewer.remove();
  }

  #groupOf(spec: InterleavedSpec): InterleavedGroup {
    const key = keyOf(spec);
    const group = this.#groups.get(key) ?? new InterleavedGroup([spec.rtpPort, spec.rtcpPort], this.#clock);
    this.#groups.set(key, group);
    return group;
  }

  /** Sends from the cache; true when the viewer has all that is there, and goes on with the next live packet. */
  #catchUp(viewer: InterleavedViewer, group: InterleavedGroup, channel: number, packets: number): boolean {
    const { cache, holdUntilNs } = this.#pictures;
    if (viewer.removed) return true;
    if (viewer.full) return false;
    const chunk = new Chunk(true);
    for (let left = packets; viewer.next !== undefined && left > 0; left--) {
      if (viewer.next === cache.next) {
        viewer.goLive(group.gathered);
        break;
      }
      const packet = cache.read(viewer.next);
      if (!packet) {
        viewer.goLive(group.gathered, holdUntilNs()); // too slow for this stream: go on when the next picture begins
        break;
      }
      viewer.next++;
      chunk.append(channel, packet, false);
    }
    viewer.send(chunk, 0);
    return viewer.next === undefined;
  }
}

const keyOf = ({ rtpPort, rtcpPort }: ViewerSpec): string => `${rtpPort} ${rtcpPort}`;

const CLOCK: Clock = {
  nowMs: () => performance.now(),
  afterMs: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
