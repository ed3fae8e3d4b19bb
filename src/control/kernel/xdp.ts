// SPDX-License-Identifier: Apache-2.0
// The XDP stage behind the TC engine: templates wait in a private veth of its own, and copies for devices whose drivers
// take XDP frames are made there. What it is not, or cannot be, TC does on the same maps. See bpf/fanout_xdp.bpf.c.
import { closeSync } from 'node:fs';
import { Limit } from './abi.gen.js';
import type { KernelState } from './kernel-state.js';
import { BpfObject } from './libbpf.js';
import { discardVeth, makeVeth, queuesOf, type VethPair } from './private-veth.js';
import { hearQueueDisciplines } from './queue-discipline.js';
import type { Hearing } from './rtnetlink-events.js';
import { transmitQueues, type NetDevice } from './sysfs.js';
import type { TcFilters } from './tc-filters.js';
import { attachRawTracepoint, attachXdp, setDevmapEntry } from './xdp-calls.js';
import { XdpDevice, type XdpParts } from './xdp-device.js';

/** A queue of 256 templates is gone through in less than a millisecond. */
const DRAIN_MS = 50;
const ASK_DRIVERS_MS = 10_000;

export interface XdpOptions {
  /** The proxy's listen port. */
  readonly port: number;
  /** Folder of the compiled kernel programs. */
  readonly objects: string;
  readonly state: KernelState;
  /** Program tc_again, for what XDP passes up. */
  readonly againFd: number;
  readonly filters: TcFilters;
  /** Between questions to drivers whether they take XDP frames by now. */
  readonly askDriversMs?: number;
}

/** What waits in a former process's queue goes on to TC's; then its programs go, with the queue. */
export async function retireXdp(state: KernelState, port: number): Promise<void> {
  state.useXdp(0);
  await new Promise((resolve) => setTimeout(resolve, DRAIN_MS));
  await discardVeth(port, 'xdp');
}

export class XdpStage {
  readonly #options: XdpOptions;
  readonly #program: BpfObject;
  readonly #queue: VethPair;
  readonly #tracepoint: number;
  readonly #queues: Hearing;
  readonly #asking: NodeJS.Timeout;
  readonly #parts: XdpParts;
  readonly #devices = new Map<number, XdpDevice>();
  /** Which devices have one queue only, or may have. What two CPUs send there is received by one, which takes less than they send. */
  readonly #narrow: string[] = [];
  #closed = false;

  private constructor(options: XdpOptions, program: BpfObject, queue: VethPair, tracepoint: number) {
    this.#options = options;
    this.#program = program;
    this.#queue = queue;
    this.#tracepoint = tracepoint;
    this.#parts = {
      devicesFd: options.state.maps.get('devices')!,
      chunkMapsFd: program.mapFd('chunk_maps'),
      round: { ifindex: queue.send.ifindex, programFd: program.programFd('xdp_round') },
      copyFd: program.programFd('xdp_copy'),
      prepare: (device) => this.#noteQueues(device),
      chosen: () => this.#useOrNot(),
    };
    this.#queues = hearQueueDisciplines((ifindex) => this.#devices.get(ifindex)?.lookAgain());
    this.#asking = setInterval(() => {
      for (const device of this.#devices.values()) void device.askDriver();
    }, options.askDriversMs ?? ASK_DRIVERS_MS).unref();
  }

  /** Builds all parts, or undoes what it did and throws KernelError: then this machine has no XDP for us. */
  static async open(options: XdpOptions): Promise<XdpStage> {
    const { port, objects, state, againFd, filters } = options;
    const undo: (() => unknown)[] = [];
    try {
      const program = BpfObject.load(`${objects}/fanout_xdp.bpf.o`, state.maps);
      undo.push(() => program.close());
      undo.push(() => discardVeth(port, 'xdp'));
      const queue = await makeVeth(port, 'xdp');
      const round = { ifindex: queue.send.ifindex, programFd: program.programFd('xdp_round') };
      setDevmapEntry(program.mapFd('round_device'), 0, round);
      // Before any frame can be under way: it lets the viewers' locks go.
      const tracepoint = attachRawTracepoint('xdp_devmap_xmit', program.programFd('xdp_settle'));
      undo.push(() => closeSync(tracepoint));
      await attachXdp(queue.receive.ifindex, program.programFd('xdp_again'));
      filters.attach(queue.receive, againFd);
      state.laneXdp(true);
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
    const added = new XdpDevice(device.ifindex, device.name, this.#devices.size, this.#parts);
    this.#devices.set(device.ifindex, added);
    return added.ready;
  }

  facts(): Record<string, string | number> {
    const rows = [...this.#devices.values()].map((device) => ({
      name: device.name,
      shaped: device.shaped,
      ...device.read(),
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
    this.#queues.close();
    clearInterval(this.#asking);
    await Promise.all([...this.#devices.values()].map((device) => device.close()));
    this.#options.filters.forget(this.#queue.receive);
    await discardVeth(this.#options.port, 'xdp'); // with it the programs: nothing is under way any more
    closeSync(this.#tracepoint);
    this.#program.close();
  }

  /** A template waits in XDP's veth only where XDP has something to do: the way round by it is longer than TC's. */
  #useOrNot(): void {
    if (this.#closed) return;
    const serves = [...this.#devices.values()].some(({ serving }) => serving);
    this.#options.state.useXdp(serves ? this.#queue.send.ifindex : 0);
  }

  async #noteQueues(device: NetDevice): Promise<void> {
    const why = await transmitQueues(device).then(
      (queues) => (queues < 2 ? `${device.name} has one queue only` : undefined),
      (error: Error) => `the queues of ${device.name} cannot be counted (${error.message})`,
    );
    if (why === undefined) return;
    this.#narrow.push(why);
    this.#options.state.laneXdp(false);
  }
}
