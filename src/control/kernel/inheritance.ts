// SPDX-License-Identifier: Apache-2.0
// What a killed predecessor's streams and viewers are, by what the control plane knows of them: it claims those that it
// opens and adds again, and what nobody has claimed is removed. The kernel serves all of them meanwhile.
import { abiAddress } from './address.js';
import { Kind, Limit, Stream, StreamState, Viewer, ViewerState } from './abi.gen.js';
import type { OpenCommand } from './commands.js';
import type { KernelState } from './kernel-state.js';
import { mapUpdate } from './libbpf.js';
import type { CacheWindow } from './picture-cache.js';

export interface InheritedStream {
  readonly index: number;
  readonly window: CacheWindow;
}

interface Slot {
  readonly slot: number;
  readonly stream: number;
}

export class Inheritance {
  readonly #state: KernelState;
  readonly #streams = new Set<number>();
  /** By the control plane's number. */
  readonly #viewers = new Map<number, Slot>();

  /** Reads the tables, and makes the command program's page table from them. */
  constructor(state: KernelState) {
    this.#state = state;
    const { streams } = state.tables;
    for (let index = 0; index < Limit.MAX_STREAMS; index++)
      if (streams.getUint32(index * Stream.SIZE + Stream.state, true) === StreamState.STREAM_OPEN) {
        this.#streams.add(index);
        this.#readPages(index);
      }
  }

  /** The stream that is open already, if it is this very one. */
  claimStream(wanted: Omit<OpenCommand, 'cache'>): InheritedStream | undefined {
    for (const index of this.#streams) {
      if (!this.#isSame(index, wanted)) continue;
      this.#streams.delete(index);
      const read = (field: number) => this.#state.tables.streams.getUint32(index * Stream.SIZE + field, true);
      const window = { first: read(Stream.cacheFirst), size: read(Stream.cacheSize) };
      return { index, window: this.#state.cache.take(window) };
    }
    return undefined;
  }

  /** The slot in which the viewer is served already. */
  claimViewer(stream: number, id: number): number | undefined {
    const found = this.#viewers.get(id);
    if (found?.stream !== stream) return undefined;
    this.#viewers.delete(id);
    return found.slot;
  }

  /** Removes what nobody has claimed, and says how much that was. */
  removeRest(): { readonly streams: number; readonly viewers: number } {
    const removed = { streams: this.#streams.size, viewers: this.#viewers.size };
    for (const [id, { slot, stream }] of this.#viewers)
      if (!this.#streams.has(stream)) this.#state.commands.delete(slot, id);
    for (const stream of this.#streams) this.#state.commands.close(stream);
    this.#viewers.clear();
    this.#streams.clear();
    return removed;
  }

  #readPages(stream: number): void {
    const { streams } = this.#state.tables;
    const at = stream * Stream.SIZE;
    const span = streams.getUint32(at + Stream.span, true);
    for (let i = 0; i * Limit.PAGE_SLOTS < span; i++) {
      const page = streams.getUint16(at + Stream.page + 2 * i, true) - 1;
      if (page < 0) continue;
      mapUpdate(this.#state.maps.get('pages')!, u32(page), u32(stream + 1));
      for (let slot = page * Limit.PAGE_SLOTS; slot < (page + 1) * Limit.PAGE_SLOTS; slot++)
        this.#readSlot(slot, stream);
    }
  }

  #readSlot(slot: number, stream: number): void {
    const { viewers } = this.#state.tables;
    const read = (field: number) => viewers.getUint32(slot * Viewer.SIZE + field, true);
    if (read(Viewer.state) !== ViewerState.VIEWER_FREE) this.#viewers.set(read(Viewer.id), { slot, stream });
  }

  #isSame(index: number, wanted: Omit<OpenCommand, 'cache'>): boolean {
    const { streams } = this.#state.tables;
    const at = index * Stream.SIZE;
    const u32 = (field: number) => streams.getUint32(at + field, true);
    const port = (field: number, kind: number) => streams.getUint16(at + field + 2 * kind, false);
    const address = (field: number) => Buffer.from(streams.buffer, streams.byteOffset + at + field, 16);
    return (
      address(Stream.source).equals(abiAddress(wanted.source)) &&
      address(Stream.local).equals(abiAddress(wanted.local)) &&
      port(Stream.sourcePort, Kind.RTP) === wanted.sourcePorts.rtp &&
      port(Stream.sourcePort, Kind.RTCP) === wanted.sourcePorts.rtcp &&
      port(Stream.localPort, Kind.RTP) === wanted.localPorts.rtp &&
      port(Stream.localPort, Kind.RTCP) === wanted.localPorts.rtcp &&
      u32(Stream.clockRate) === wanted.clockRate &&
      u32(Stream.codec) === wanted.codec &&
      u32(Stream.payloadType) === wanted.payloadType &&
      u32(Stream.descriptor) === (wanted.descriptorId ?? 0)
    );
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
