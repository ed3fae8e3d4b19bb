// SPDX-License-Identifier: Apache-2.0
// The TC engine: the kernel programs attached to the devices that sources' packets come in on, and the state that they
// share with us. What the kernel cannot serve (a viewer behind a device without Ethernet frames) goes through the
// user-space engine, stream by stream or viewer by viewer, and says so. With the XDP stage (xdp.ts) behind it, it is the
// XDP engine: the entrance stays, the copies are made there.
import type { Datapath, DropCount, Log, StreamHandle, StreamSpec } from '../path/ports.js';
import type { HopCommand } from './commands.js';
import { Inheritance } from './inheritance.js';
import { KernelState } from './kernel-state.js';
import { Joins } from './joins.js';
import { KernelError } from './kernel-error.js';
import { BpfObject, FrameProgram } from './libbpf.js';
import { removeLeftovers } from './leftovers.js';
import { NextHops, type NextHop } from './next-hop.js';
import { findPredecessor, type Predecessor } from './predecessor.js';
import { steerReceived, type Steering } from './receive-steering.js';
import { SourceDevices } from './source-devices.js';
import { DEFAULT_PICTURES, type PictureOptions } from './picture-options.js';
import {
  discardVeth,
  makeVeth,
  pacingOf,
  takeOverVeth,
  type QueuePacing,
  type VethPair,
} from './private-veth.js';
import { TcFilters } from './tc-filters.js';
import { TcStream } from './tc-stream.js';
import { Tally } from '../state/tally.js';
import { UserspaceDatapath } from './userspace.js';
import type { StreamPictures } from './userspace-pictures.js';
import { retireXdp, XdpStage } from './xdp.js';

const LOST_ON_ITS_WAY =
  'a packet was lost on its way to another (net.core.netdev_max_backlog is small for that much traffic)';
const UNREACHABLE = 'viewers can no longer be reached, this one among them; their copies go where they went';

export interface TcOptions {
  /** The proxy's listen port: the engine's name in this network namespace. */
  readonly port: number;
  /** Folder of the compiled kernel programs. */
  readonly objects: string;
  readonly pictures?: PictureOptions;
  /** How long the kernel goes on without this process; a minute by default. */
  readonly orphanLimitMs?: number | undefined;
  /** Go on with what a killed predecessor left, where that can be: its streams and viewers are claimed by opening and
   * adding them again, until settled(). */
  readonly takeOver?: boolean;
  /** Whether XDP makes the copies: where it can, must it, or not at all (the default). */
  readonly xdp?: 'try' | 'must' | 'never';
  readonly log: Log;
}

export class TcDatapath implements Datapath {
  readonly engine: 'tc' | 'xdp';
  readonly why: string;
  readonly state: KernelState;
  readonly hops: NextHops;
  readonly sources: SourceDevices;
  readonly log: Log;
  readonly joins = new Joins();
  /** Sends one complete frame. */
  readonly sender: FrameProgram;
  readonly holdMs: number;
  readonly cachePackets: number;
  readonly #program: BpfObject;
  readonly #queue: VethPair;
  readonly #pacing: QueuePacing;
  readonly #steering: Steering;
  readonly #local: VethPair;
  readonly #filters: TcFilters;
  readonly #port: number;
  /** Copies that this process was to send and did not. */
  readonly #ownDrops = new Tally();
  readonly #userspace: UserspaceDatapath;
  readonly #streams = new Set<TcStream>();
  /** A string: why there is none. */
  readonly #xdp: XdpStage | string;
  #inheritance: Inheritance | undefined;

  private constructor(parts: {
    state: KernelState;
    program: BpfObject;
    queue: VethPair;
    local: VethPair;
    filters: TcFilters;
    xdp: XdpStage | string;
    inheritance: Inheritance | undefined;
    options: TcOptions;
    pictures: PictureOptions;
    pacing: QueuePacing;
    steering: Steering;
  }) {
    this.state = parts.state;
    this.#program = parts.program;
    this.#queue = parts.queue;
    this.#pacing = parts.pacing;
    this.#steering = parts.steering;
    this.#local = parts.local;
    this.#filters = parts.filters;
    this.#inheritance = parts.inheritance;
    this.#port = parts.options.port;
    this.log = parts.options.log;
    this.holdMs = parts.pictures.holdMs;
    this.cachePackets = parts.pictures.cachePackets;
    this.#userspace = new UserspaceDatapath({ pictures: parts.pictures });
    this.sender = new FrameProgram(parts.program.programFd('tc_send'));
    this.#xdp = parts.xdp;
    this.engine = typeof parts.xdp === 'string' ? 'tc' : 'xdp';
    this.why =
      typeof parts.xdp === 'string'
        ? `the kernel takes our TC programs; ${parts.xdp}`
        : 'the kernel takes our XDP programs; TC serves devices that take no XDP frames, or whose queue shapes';
    this.hops = new NextHops((changed) => this.#hopsChanged(changed));
    const programFd = parts.program.programFd('tc_ingress');
    this.sources = new SourceDevices({ hops: this.hops, filters: parts.filters, programFd, log: this.log });
  }

  /** Builds all parts, or undoes what it did and throws KernelError. Leftovers of a killed proxy on this port go first,
   * unless they are taken over. */
  static async open(options: TcOptions): Promise<TcDatapath> {
    const { pictures = DEFAULT_PICTURES } = options;
    const undo: (() => unknown)[] = [];
    const predecessor = options.takeOver ? await predecessorOf(options) : undefined;
    try {
      const state = new KernelState(`${options.objects}/command.bpf.o`, pictures.cacheTotalPackets, {
        orphanLimitMs: options.orphanLimitMs,
        takeOver: predecessor?.maps,
      });
      undo.push(() => state.close());
      const program = BpfObject.load(`${options.objects}/fanout.bpf.o`, state.maps);
      undo.push(() => program.close());
      const left = predecessor ? [] : await removeLeftovers(options.port);
      if (left.length) options.log.info({ left }, 'removed what a killed proxy had left in the kernel');
      undo.push(
        () => discardVeth(options.port, 'queue'),
        () => discardVeth(options.port, 'local'),
      );
      const veth = predecessor ? takeOverVeth : makeVeth;
      const queue = await veth(options.port, 'queue');
      const local = await veth(options.port, 'local');
      const filters = new TcFilters(options.port);
      undo.push(() => filters.close());
      state.commands.hello(queue.send.ifindex, queue.receive.mac);
      filters.attach(queue.receive, program.programFd('tc_again'));
      // The former programs run until this moment, on the same maps.
      for (const device of predecessor?.devices ?? [])
        filters.attach(device, program.programFd('tc_ingress'));
      if (predecessor) await retireXdp(state, options.port);
      const xdp = await openXdp(options, state, program.programFd('tc_again'), filters);
      if (typeof xdp !== 'string') undo.push(() => xdp.close());
      const inheritance = predecessor && new Inheritance(state);
      const pacing = await pacingOf(queue.send);
      const steering = await steerReceived(queue.receive);
      state.steerOver(steering.cpus);
      return new TcDatapath({
        state,
        program,
        queue,
        local,
        filters,
        xdp,
        inheritance,
        options,
        pictures,
        pacing,
        steering,
      });
    } catch (error) {
      for (const step of undo.reverse()) await step();
      throw error;
    } finally {
      predecessor?.close();
    }
  }

  /** What a killed predecessor left and nobody has claimed by now goes. */
  settled(): void {
    if (!this.#inheritance) return;
    const removed = this.#inheritance.removeRest();
    this.#inheritance = undefined;
    this.log.info({ removed }, 'took over what was in the kernel');
  }

  /** Streams and viewers to be claimed. */
  get inheritance(): Inheritance | undefined {
    return this.#inheritance;
  }

  async open(spec: StreamSpec): Promise<StreamHandle> {
    const why = await this.sources.expect(spec);
    if (why !== undefined) {
      this.log.warn(
        { stream: spec.name, why },
        'the kernel engine cannot take this source: served from user space',
      );
      return this.#userspace.open(spec);
    }
    const stream = new TcStream(this, spec, () => this.#streams.delete(stream));
    this.#streams.add(stream);
    return stream;
  }

  /** The frame for a viewer's copies, or why there is none. */
  frame(hop: NextHop): HopCommand | string {
    if (hop.to === 'nowhere') return hop.why;
    if (typeof this.#xdp !== 'string') void this.#xdp.serve(hop.to === 'local' ? this.#local.send : hop.link);
    if (hop.to === 'neighbour')
      return { ifindex: hop.link.ifindex, mtu: hop.mtu, sourceMac: hop.link.mac, mac: hop.mac };
    if (hop.only)
      return { ifindex: hop.link.ifindex, mtu: hop.link.mtu, sourceMac: hop.link.mac, mac: hop.link.mac };
    const { send, receive } = this.#local;
    return { ifindex: send.ifindex, mtu: hop.link.mtu, sourceMac: send.mac, mac: receive.mac };
  }

  /** For viewers that this process serves. */
  openPictures(encoding: StreamSpec['encoding']): StreamPictures {
    return this.#userspace.pictures.open(encoding);
  }

  countDrop(reason: string): void {
    this.#ownDrops.add(reason);
  }

  drops(): DropCount[] {
    const userspace = new Map(this.#userspace.drops().map(({ reason, count }) => [reason, count]));
    return this.state.drops().map(({ reason, count }) => ({
      reason,
      count: count + (userspace.get(reason) ?? 0) + this.#ownDrops.get(reason),
    }));
  }

  facts(): Record<string, string | number> {
    const { passes, waits, egressFull, parked } = this.state.passes();
    const viewers = [...this.#streams].reduce((sum, stream) => sum + stream.userspaceViewers, 0);
    return {
      devices: this.#filters.devices.join(' '),
      queue: `${this.#queue.send.name} (${this.#pacing})`,
      'queue served by': this.#servedBy(),
      'tickets out': this.state.ticketsOut(),
      'templates out': this.state.templatesOut(),
      'kernel streams': this.#streams.size,
      'viewers served by user space': viewers,
      'looks at all next hops': this.hops.looks,
      'questions about next hops': this.hops.questions,
      passes,
      'passes that waited': waits,
      'passes that met a full egress': egressFull,
      'packets parked': parked,
      ...(typeof this.#xdp === 'string' ? { XDP: this.#xdp } : this.#xdp.facts()),
    };
  }

  #servedBy(): string {
    const { cpus, told } = this.#steering;
    return cpus && !this.state.steeredOver ? `one CPU: ${LOST_ON_ITS_WAY}` : told;
  }

  async close(): Promise<void> {
    this.hops.close();
    this.joins.close();
    for (const stream of [...this.#streams]) stream.close();
    await this.#userspace.close();
    if (typeof this.#xdp !== 'string') await this.#xdp.close();
    this.sources.close();
    await discardVeth(this.#port, 'queue');
    await discardVeth(this.#port, 'local');
    this.#program.close();
    this.state.close();
  }

  #hopsChanged(changed: ReadonlyMap<string, NextHop>): void {
    const frames = new Map<string, HopCommand>();
    const lost = new Map<string, string>(); // a reason, and one of those whom it concerns
    for (const [destination, hop] of changed) {
      const frame = this.frame(hop);
      if (typeof frame === 'string') lost.set(frame, destination);
      else frames.set(destination, frame);
    }
    for (const [why, destination] of lost) this.log.warn({ destination, why }, UNREACHABLE);
    for (const stream of this.#streams) stream.hopsChanged(frames);
  }
}

/** A string: why there is none. Throws KernelError when there must be. */
async function openXdp(
  { xdp = 'never', port, objects }: TcOptions,
  state: KernelState,
  againFd: number,
  filters: TcFilters,
): Promise<XdpStage | string> {
  if (xdp === 'never') return 'XDP was not asked for';
  try {
    return await XdpStage.open({ port, objects, state, againFd, filters });
  } catch (error) {
    if (xdp === 'must' || !(error instanceof KernelError)) throw error;
    return `no XDP: ${error.message}`;
  }
}

/** Undefined: start clean, and the log says why. */
async function predecessorOf({ port, log }: TcOptions): Promise<Predecessor | undefined> {
  try {
    return await findPredecessor(port);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    log.warn({ why: error.message }, 'what is in the kernel cannot be taken over: its tables are made anew');
    return undefined;
  }
}
