// SPDX-License-Identifier: Apache-2.0
// The one owner of the kernel programs' maps: created here, shared with every engine, read here. Counters are loads from
// shared memory; only a stream's reception needs a system call, for its spin lock.
import type {
  DropCount,
  Reception as ReceptionReading,
  StreamCounters,
  StreamLayers,
  ViewerCounters,
} from '../path/ports.js';
import { Command, Global, Limit, LockedReception, Reception, Stream, Viewer } from './abi.gen.js';
import { Commands } from './commands.js';
import { DROPS } from './drop-reasons.js';
import { readLayers } from './layers.js';
import { PictureCache } from './picture-cache.js';
import { BpfObject, mapLookup, mapShape, SyscallProgram } from './libbpf.js';
import { shareMap, type SharedMemory } from './shared-memory.js';

const MAPS = [
  'listen',
  'streams',
  'viewers',
  'pages',
  'tickets',
  'parked',
  'reception',
  'layerings',
  'devices',
  'global',
  'cache',
] as const;
const BPF_F_LOCK = 4n;
const HEARTBEAT_MS = 1000;

/** Without a heartbeat for this long the kernel sends nothing more: departed viewers must not be flooded for ever. */
export const DEFAULT_ORPHAN_LIMIT_MS = 60_000;

export interface KernelStateOptions {
  /** How long the kernel goes on without our heartbeat. */
  readonly orphanLimitMs?: number | undefined;
  /** Maps of a killed predecessor, to go on with (predecessor.ts). They stay the caller's to close. */
  readonly takeOver?: ReadonlyMap<string, number> | undefined;
}

export class KernelState {
  readonly commands: Commands;
  /** For engines to share: map name -> descriptor. */
  readonly maps: ReadonlyMap<string, number>;
  readonly cache: PictureCache;
  readonly #object: BpfObject;
  readonly #streams: SharedMemory;
  readonly #viewers: SharedMemory;
  readonly #global: SharedMemory;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #value = Buffer.alloc(LockedReception.SIZE);
  readonly #key = Buffer.alloc(4);

  /** Loads the command program and creates the maps that are not taken over; the picture cache has that many entries,
   * one that is taken over keeps its own. Throws KernelError. */
  constructor(commandObject: string, cacheEntries: number, options: KernelStateOptions = {}) {
    const { takeOver, orphanLimitMs = DEFAULT_ORPHAN_LIMIT_MS } = options;
    const cache = takeOver?.get('cache');
    const entries = cache === undefined ? Math.max(cacheEntries, 1) : mapShape(cache).entries;
    this.#object = BpfObject.load(
      commandObject,
      takeOver,
      cache === undefined ? new Map([['cache', entries]]) : new Map(),
    );
    this.maps = new Map(MAPS.map((name) => [name, this.#object.mapFd(name)]));
    this.commands = new Commands(new SyscallProgram(this.#object.programFd('command'), Command.SIZE));
    this.#streams = shareMap(this.#fd('streams'), Limit.MAX_STREAMS * Stream.SIZE);
    this.#viewers = shareMap(this.#fd('viewers'), Limit.MAX_PAGES * Limit.PAGE_SLOTS * Viewer.SIZE);
    this.#global = shareMap(this.#fd('global'), Global.SIZE);
    this.cache = new PictureCache(this.#fd('cache'), cache === undefined ? cacheEntries : entries);
    this.#global.view.setBigUint64(Global.heartbeatLimitNs, BigInt(orphanLimitMs) * 1_000_000n, true);
    this.#global.view.setUint32(Global.ownerPid, process.pid, true);
    if (takeOver) this.useXdp(0); // its frames go through programs that died with the process
    this.#beat();
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
    this.#heartbeat.unref();
  }

  /** `first`: packets of which this viewer was served first. `held`: withheld because no picture had begun. */
  viewer(
    slot: number,
  ): ViewerCounters &
    Required<Pick<ViewerCounters, 'held' | 'thinned' | 'thinnedBytes'>> & { readonly first: number } {
    const at = slot * Viewer.SIZE;
    const read = (field: number) => u64(this.#viewers, at + field);
    return {
      packets: read(Viewer.packets),
      bytes: read(Viewer.bytes),
      rtcpPackets: read(Viewer.rtcpPackets),
      drops: read(Viewer.drops),
      held: read(Viewer.held),
      thinned: read(Viewer.thinnedPackets),
      thinnedBytes: read(Viewer.thinnedBytes),
      first: this.#viewers.view.getUint32(at + Viewer.first, true),
    };
  }

  /** Maps `streams` and `viewers` as they are at the moment, for who takes them over. */
  get tables(): { readonly streams: DataView; readonly viewers: DataView } {
    return { streams: this.#streams.view, viewers: this.#viewers.view };
  }

  stream(index: number): StreamCounters {
    const at = index * Stream.SIZE;
    const read = (field: number) => u64(this.#streams, at + field);
    return {
      packets: read(Stream.packets),
      bytes: read(Stream.bytes),
      rtcpPackets: read(Stream.rtcpPackets),
      refused: read(Stream.refused),
      waiting: this.#waiting(index),
    };
  }

  layers(index: number): StreamLayers {
    return readLayers(this.#streams.view, index, process.hrtime.bigint());
  }

  /** The number that the next packet's ticket will have, and the oldest that a viewer can begin with, if any. */
  tickets(index: number): { readonly next: number; readonly begin: number | undefined } {
    const at = index * Stream.SIZE;
    const read = (field: number) => this.#streams.view.getUint32(at + field, true);
    return { next: read(Stream.tail), begin: read(Stream.cached) ? read(Stream.cacheBegin) : undefined };
  }

  /** Undefined until the stream's first RTP packet. */
  reception(index: number): ReceptionReading | undefined {
    const r = this.#reception(index);
    if (!r || !r.readUInt16LE(Reception.started)) return undefined;
    return {
      ssrc: r.readUInt32LE(Reception.ssrc),
      extendedMaxSeq: (r.readUInt32LE(Reception.cycles) + r.readUInt16LE(Reception.maxSeq)) >>> 0,
      baseSeq: r.readUInt32LE(Reception.baseSeq),
      received: r.readUInt32LE(Reception.received),
      jitter: r.readUInt32LE(Reception.jitter) / 16,
      timestamp: r.readUInt32LE(Reception.timestamp),
      arrivalNs: r.readBigUInt64LE(Reception.arrivalNs),
      sent: {
        ssrc: r.readUInt32LE(Reception.sentSsrc),
        seqOffset: r.readUInt16LE(Reception.seqOffset),
        timestampOffset: r.readUInt32LE(Reception.timestampOffset),
      },
    };
  }

  /** When the sender report with these middle 32 bits of its NTP timestamp went on; the newest, where two have them. */
  senderReportSentNs(index: number, ntpMiddle: number): bigint | undefined {
    const r = this.#reception(index);
    if (!r) return undefined;
    const count = r.readUInt32LE(Reception.srCount);
    for (let i = count - 1; i >= 0 && i >= count - Limit.SR_HISTORY; i--) {
      const entry = i % Limit.SR_HISTORY;
      if (r.readUInt32LE(Reception.srNtp + 4 * entry) === ntpMiddle >>> 0)
        return r.readBigUInt64LE(Reception.srNs + 8 * entry);
    }
    return undefined;
  }

  drops(): DropCount[] {
    return DROPS.map(({ number, reason }) => ({
      reason,
      count: u64(this.#global, Global.drops + 8 * number),
    }));
  }

  /** Templates wait in XDP's queue from now on, which this device sends into; 0: in TC's. */
  useXdp(ifindex: number): void {
    this.#global.view.setUint32(Global.xdpIfindex, ifindex, true);
  }

  /** Whether XDP, too, serves a stream of several lanes on two CPUs. */
  laneXdp(on: boolean): void {
    this.#global.view.setUint32(Global.xdpLanes, on ? 1 : 0, true);
  }

  /** Templates are received on any of CPU 0 .. cpus-1, as their hash says, from now on; 0: where they were sent. */
  steerOver(cpus: number): void {
    this.#global.view.setUint16(Global.cpus, cpus, true);
  }

  /** 0 too once a template has been lost on its way. */
  get steeredOver(): number {
    return this.#global.view.getUint16(Global.cpus, true);
  }

  /** Packets that are not over: being served, going round as templates, or parked. */
  ticketsOut(): number {
    let sum = 0;
    for (let i = 0; i < Limit.MAX_STREAMS; i++) sum += this.#waiting(i);
    return sum;
  }

  #waiting(index: number): number {
    const read = (field: number) => this.#streams.view.getUint32(index * Stream.SIZE + field, true);
    return (read(Stream.tail) - read(Stream.head)) >>> 0;
  }

  /** Of these, those that a template carries. */
  templatesOut(): number {
    return this.#global.view.getUint32(Global.inFlight, true);
  }

  /** What the passes cost, and how many packets were parked: sums over the streams that are open now. */
  passes(): { passes: number; waits: number; egressFull: number; parked: number } {
    const sum = { passes: 0, waits: 0, egressFull: 0, parked: 0 };
    for (let i = 0; i < Limit.MAX_STREAMS; i++) {
      const at = i * Stream.SIZE;
      if (!this.#streams.view.getUint32(at + Stream.state, true)) continue;
      sum.passes += u64(this.#streams, at + Stream.passes);
      sum.waits += u64(this.#streams, at + Stream.waits);
      sum.egressFull += u64(this.#streams, at + Stream.egressFull);
      sum.parked += u64(this.#streams, at + Stream.parked);
    }
    return sum;
  }

  close(): void {
    clearInterval(this.#heartbeat);
    for (const memory of [this.#streams, this.#viewers, this.#global, this.cache]) memory.close();
    this.#object.close();
  }

  #fd(name: (typeof MAPS)[number]): number {
    return this.maps.get(name)!;
  }

  /** The value behind its lock; of another opening of the slot when nothing has come since: undefined. */
  #reception(index: number): Buffer | undefined {
    this.#key.writeUInt32LE(index);
    if (!mapLookup(this.#fd('reception'), this.#key, this.#value, BPF_F_LOCK)) return undefined;
    const value = this.#value.subarray(LockedReception.reception);
    const generation = this.#streams.view.getUint32(index * Stream.SIZE + Stream.generation, true);
    return value.readUInt32LE(Reception.generation) === generation ? value : undefined;
  }

  #beat(): void {
    this.#global.view.setBigUint64(Global.heartbeatNs, process.hrtime.bigint(), true);
  }
}

/** Exact up to 2^53: packets and bytes of decades. */
function u64(memory: SharedMemory, at: number): number {
  return Number(memory.view.getBigUint64(at, true));
}
