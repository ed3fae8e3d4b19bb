// SPDX-License-Identifier: Apache-2.0
// The XDP stage behind the TC engine: templates wait in a private veth of its own, and copies for devices whose drivers
// take XDP frames are made there. What it is not, or cannot be, TC does on the same maps. See bpf/fanout_xdp.bpf.c.
import { closeSync } from 'node:fs';
import { Device, Limit } from './abi.gen.js';
import type { KernelState } from './kernel-state.js';
import { BpfObject, mapLookup } from './libbpf.js';
import { makeVeth, queuesOf, removeVeth, type VethPair } from './private-veth.js';
import { shapes } from './queue-discipline.js';
import { transmitQueues } from './sysfs.js';
import type { TcFilters } from './tc-filters.js';
import {
  attachRawTracepoint,
  attachXdp,
  makeDevmap,
  setDevmapEntry,
  setInnerMap,
  updateMap,
} from './xdp-calls.js';

/** Copies that the device maps of a device are for, as chunk_map() in bpf/xdp_chunk.h picks them. */
const CHUNKS = Array.from({ length: Limit.XDP_CHUNKS }, (_, i) => (i < 3 ? 1 << i : 8 * (i - 2)));

/** A queue of 256 templates is gone through in less than a millisecond. */
const DRAIN_MS = 50;

export interface XdpOptions {
  /** The proxy's listen port. */
  readonly port: number;
  /** Folder of the compiled kernel programs. */
  readonly objects: string;
  readonly state: KernelState;
  /** Program tc_again, for what XDP passes up. */
  readonly againFd: number;
  readonly filters: TcFilters;
}

interface Egress {
  readonly name: string;
  /** XDP would go past its queueing discipline, and that is there for a purpose: TC serves it. */
  shaped: boolean;
  /** Resolves when XDP may serve it; until then TC does. */
  ready: Promise<void>;
}

/** What the kernel says of an egress device. */
interface DeviceReading {
  readonly copies: number;
  readonly refused: number;
  readonly untold: number;
  readonly off: boolean;
}

/** What waits in a former process's queue goes on to TC's; then its programs go, with the queue. */
export async function retireXdp(state: KernelState, port: number): Promise<void> {
  state.useXdp(0);
  await new Promise((resolve) => setTimeout(resolve, DRAIN_MS));
  await removeVeth(port, 'xdp');
}

export class XdpStage {
  readonly #options: XdpOptions;
  readonly #program: BpfObject;
  readonly #queue: VethPair;
  readonly #tracepoint: number;
  readonly #devices = new Map<number, Egress>();
  /** Which devices have one queue only, or may have. What two CPUs send there is received by one, which takes less than they send. */
  readonly #narrow: string[] = [];
  #closed = false;

  private constructor(options: XdpOptions, program: BpfObject, queue: VethPair, tracepoint: number) {
    this.#options = options;
    this.#program = program;
    this.#queue = queue;
    this.#tracepoint = tracepoint;
  }

  /** Builds all parts, or undoes what it did and throws KernelError: then this machine has no XDP for us. */
  static async open(options: XdpOptions): Promise<XdpStage> {
    const { port, objects, state, againFd, filters } = options;
    const undo: (() => unknown)[] = [];
    try {
      const program = BpfObject.load(`${objects}/fanout_xdp.bpf.o`, state.maps);
      undo.push(() => program.close());
      undo.push(() => removeVeth(port, 'xdp'));
      const queue = await makeVeth(port, 'xdp');
      const round = { ifindex: queue.send.ifindex, programFd: program.programFd('xdp_round') };
      setDevmapEntry(program.mapFd('round_device'), 0, round);
      // Before any frame can be under way: it lets the viewers' locks go.
      const tracepoint = attachRawTracepoint('xdp_devmap_xmit', program.programFd('xdp_settle'));
      undo.push(() => closeSync(tracepoint));
      await attachXdp(queue.receive.ifindex, program.programFd('xdp_again'));
      filters.attach(queue.receive, againFd);
      state.laneXdp(true);
      state.useXdp(queue.send.ifindex);
      return new XdpStage(options, program, queue, tracepoint);
    } catch (error) {
      for (const step of undo.reverse()) await step();
      throw error;
    }
  }

  /** Copies leave by this device from now on: XDP serves it as soon as its maps are made. */
  serve(device: { ifindex: number; name: string }): Promise<void> {
    const known = this.#devices.get(device.ifindex);
    if (known) return known.ready;
    if (this.#devices.size >= Limit.XDP_DEVICES) return Promise.resolve(); // TC goes on serving it
    const index = this.#devices.size;
    const egress = { name: device.name, shaped: false, ready: Promise.resolve() };
    egress.ready = this.#choose(egress, device.ifindex, index).catch(() => undefined); // e.g. the device is gone: TC's
    this.#devices.set(device.ifindex, egress);
    return egress.ready;
  }

  facts(): Record<string, string | number> {
    const rows = [...this.#devices].map(([ifindex, { name, shaped }]) => ({
      name,
      shaped,
      ...this.#read(ifindex),
    }));
    const names = (chosen: typeof rows) => chosen.map((row) => row.name).join(' ') || 'none';
    return {
      'XDP queue': `${this.#queue.send.name}, a queue for each of ${queuesOf('xdp')} CPUs`,
      'XDP serves a stream on': this.#lanes(),
      'devices served by XDP': names(rows.filter((row) => !row.off)),
      'devices that take no XDP frames': names(rows.filter((row) => row.off && !row.shaped)),
      'devices left to TC for their queue': names(rows.filter((row) => row.shaped)),
      'copies made by XDP': rows.reduce((sum, row) => sum + row.copies, 0),
      'copies that a full driver left for later': rows.reduce((sum, row) => sum + row.refused, 0),
      'copies of unknown fate': rows.reduce((sum, row) => sum + row.untold, 0),
    };
  }

  #lanes(): string {
    if (!this.#options.state.steeredOver) return 'one CPU: see "queue served by"';
    if (this.#narrow.length > 0) return `one CPU: ${this.#narrow.join(', ')}`;
    return 'two CPUs, when it has many viewers';
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.state.useXdp(0);
    await Promise.all([...this.#devices.values()].map(({ ready }) => ready));
    this.#options.filters.forget(this.#queue.receive);
    await removeVeth(this.#options.port, 'xdp'); // with it the programs: nothing is under way any more
    closeSync(this.#tracepoint);
    this.#program.close();
  }

  async #choose(egress: Egress, ifindex: number, index: number): Promise<void> {
    egress.shaped = await shapes(egress.name);
    if (!egress.shaped) await this.#prepare(egress.name, ifindex, index);
  }

  async #prepare(name: string, ifindex: number, index: number): Promise<void> {
    await this.#noteQueues(name, ifindex);
    const round = { ifindex: this.#queue.send.ifindex, programFd: this.#program.programFd('xdp_round') };
    const copy = { ifindex, programFd: this.#program.programFd('xdp_copy') };
    for (const [i, copies] of CHUNKS.entries()) {
      // The template first: the kernel sends off what was enqueued last before it.
      const map = makeDevmap([round, ...Array.from({ length: copies }, () => copy)]);
      try {
        const at = index * Limit.XDP_CHUNKS + i;
        await setInnerMap(this.#program.mapFd('chunk_maps'), at, map);
      } finally {
        closeSync(map);
      }
    }
    const value = Buffer.alloc(Device.SIZE);
    value.writeUInt32LE(index, Device.index);
    updateMap(this.#options.state.maps.get('devices')!, keyOf(ifindex), value);
  }

  async #noteQueues(name: string, ifindex: number): Promise<void> {
    const why = await transmitQueues({ name, ifindex }).then(
      (queues) => (queues < 2 ? `${name} has one queue only` : undefined),
      (error: Error) => `the queues of ${name} cannot be counted (${error.message})`,
    );
    if (why === undefined) return;
    this.#narrow.push(why);
    this.#options.state.laneXdp(false);
  }

  #read(ifindex: number): DeviceReading {
    const value = Buffer.alloc(Device.SIZE);
    if (!mapLookup(this.#options.state.maps.get('devices')!, keyOf(ifindex), value))
      return { copies: 0, refused: 0, untold: 0, off: true };
    return {
      copies: Number(value.readBigUInt64LE(Device.copies)),
      refused: Number(value.readBigUInt64LE(Device.refused)),
      untold: Number(value.readBigUInt64LE(Device.untold)),
      off: value.readBigUInt64LE(Device.offUntilNs) > process.hrtime.bigint(),
    };
  }
}

function keyOf(ifindex: number): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(ifindex);
  return key;
}
