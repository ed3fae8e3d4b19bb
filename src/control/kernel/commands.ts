// SPDX-License-Identifier: Apache-2.0
// The command channel to the kernel programs: add, delete, flush, loss and what goes with them, one system call each.
import { abiAddress } from './address.js';
import {
  Add,
  Command,
  Global,
  Hello,
  Kind,
  Loss,
  NextHop,
  Op,
  Open,
  Reception,
  Stream,
  Ticket,
  Version,
  Viewer,
} from './abi.gen.js';
import { KernelError } from './kernel-error.js';
import type { SyscallProgram } from './libbpf.js';

const EBUSY = 16;
/** A slot is locked for about a microsecond at a time; the program itself tries a million times. */
const BUSY_TRIES = 3;

/** UDP ports, host order. */
export interface Ports {
  readonly rtp: number;
  readonly rtcp: number;
}

/** Where a stream comes from. */
export interface SourceCommand {
  readonly source: string;
  /** 0: any. */
  readonly sourcePorts: Ports;
  readonly local: string;
  readonly localPorts: Ports;
  readonly clockRate: number;
  /** A number of `Codec`, and the payload type that carries it. */
  readonly codec: number;
  readonly payloadType: number;
  /** Of its dependency descriptors among the RTP header extensions. */
  readonly descriptorId?: number | undefined;
}

export interface OpenCommand extends SourceCommand {
  /** The stream's window of the picture cache, entries; size 0: none. */
  readonly cache: { readonly first: number; readonly size: number };
}

/** The frame that carries copies to a viewer. */
export interface HopCommand {
  readonly ifindex: number;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  readonly sourceMac: Uint8Array;
  readonly mac: Uint8Array;
}

export interface AddCommand {
  readonly id: number;
  readonly source: string;
  readonly sourcePorts: Ports;
  readonly address: string;
  readonly ports: Ports;
  readonly hop: HopCommand;
  /** Held back until a picture begins, at most so long; 0: not at all. */
  readonly holdMs: number;
  /** Time to live of its copies; undefined: the usual. */
  readonly ttl?: number | undefined;
  /** When it is thinned its sequence numbers and markers stay as they came. */
  readonly verbatim?: boolean;
  /** The viewer must get every packet from this ticket on, or the command fails with EAGAIN; undefined: from now on. */
  readonly from?: number | undefined;
}

export class Commands {
  readonly #program: SyscallProgram;
  readonly #c: DataView;

  constructor(program: SyscallProgram) {
    this.#program = program;
    this.#c = program.context;
  }

  /** The handshake: the kernel programs refuse all else until version and sizes agree (EPROTO). */
  hello(recirculateIfindex: number, templateMac: Uint8Array): void {
    this.#begin(Op.HELLO);
    const sizes: [at: number, size: number][] = [
      [Hello.abiVersion, Version.ABI_VERSION],
      [Hello.commandSize, Command.SIZE],
      [Hello.streamSize, Stream.SIZE],
      [Hello.viewerSize, Viewer.SIZE],
      [Hello.ticketSize, Ticket.SIZE],
      [Hello.receptionSize, Reception.SIZE],
      [Hello.globalSize, Global.SIZE],
      [Hello.recirculateIfindex, recirculateIfindex],
    ];
    for (const [at, value] of sizes) this.#u32(Command.hello + at, value);
    this.#bytes(Command.hello + Hello.templateMac, templateMac);
    try {
      this.#run('hello');
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'EPROTO') throw error;
      throw new KernelError(
        'the compiled kernel programs are of another version than this proxy: "make build" mends it',
      );
    }
  }

  /** Returns the stream's index. EEXIST: another stream listens there; ENOSPC: the table is full. */
  open(command: OpenCommand): number {
    this.#begin(Op.OPEN);
    this.#source(command);
    this.#u32(Command.open + Open.cacheFirst, command.cache.first);
    this.#u32(Command.open + Open.cacheSize, command.cache.size);
    this.#run('open');
    return this.#c.getUint32(Command.stream, true);
  }

  /** Another source takes the place of the stream's: viewers stay, sequence numbers and timestamps go on. What comes before
   * a picture begins is dropped, for `beginWithinMs` at most. EEXIST: another stream listens there; then this one hears
   * nothing until it is retargeted again. */
  retarget(stream: number, command: SourceCommand, beginWithinMs: number): void {
    this.#begin(Op.RETARGET);
    this.#u32(Command.stream, stream);
    this.#source(command);
    this.#u32(Command.open + Open.beginWithinMs, beginWithinMs);
    this.#run('retarget');
  }

  close(stream: number): void {
    this.#begin(Op.CLOSE);
    this.#u32(Command.stream, stream);
    this.#run('close');
  }

  /** Returns the viewer's slot. */
  add(stream: number, command: AddCommand): number {
    this.#begin(Op.ADD);
    this.#u32(Command.stream, stream);
    this.#u32(Command.add + Add.id, command.id);
    this.#bytes(Command.add + Add.source, abiAddress(command.source));
    this.#bytes(Command.add + Add.address, abiAddress(command.address));
    this.#ports(Command.add + Add.sourcePort, command.sourcePorts);
    this.#ports(Command.add + Add.port, command.ports);
    this.#hop(Command.add + Add.hop, command.hop);
    this.#u32(Command.add + Add.holdMs, command.holdMs);
    this.#c.setUint8(Command.add + Add.exact, command.from === undefined ? 0 : 1);
    this.#c.setUint8(Command.add + Add.ttl, command.ttl ?? 0);
    this.#c.setUint8(Command.add + Add.verbatim, command.verbatim ? 1 : 0);
    this.#u32(Command.add + Add.from, command.from ?? 0);
    this.#run('add');
    return this.#c.getUint32(Command.slot, true);
  }

  /** When it has returned, no further copy is made for the viewer. */
  delete(slot: number, id: number): void {
    this.#viewer(Op.DELETE, slot, id);
    this.#run('delete');
  }

  loss(slot: number, id: number, report: { fraction: number; cumulative: number; jitter: number }): void {
    this.#viewer(Op.LOSS, slot, id);
    this.#u32(Command.loss + Loss.fraction, report.fraction);
    this.#c.setInt32(Command.loss + Loss.cumulative, report.cumulative, true);
    this.#u32(Command.loss + Loss.jitter, report.jitter);
    this.#run('loss');
  }

  /** The highest layer that a viewer is to get, 0 to 7. */
  allow(slot: number, id: number, layer: number): void {
    this.#viewer(Op.ALLOW, slot, id);
    this.#u32(Command.value, layer);
    this.#run('allow');
  }

  nextHop(slot: number, id: number, hop: HopCommand): void {
    this.#viewer(Op.NEXT_HOP, slot, id);
    this.#hop(Command.hop, hop);
    this.#run('next hop');
  }

  /** Whether a stream's RTP also goes up to the socket that holds its port. */
  passUp(stream: number, on: boolean): void {
    this.#set(Op.PASS_UP, stream, on);
  }

  /** Whether somebody is being served from the stream's picture cache: its packets then count although nobody plays. */
  joining(stream: number, on: boolean): void {
    this.#set(Op.JOINING, stream, on);
  }

  flush(): void {
    this.#begin(Op.FLUSH);
    this.#run('flush');
  }

  #set(op: number, stream: number, on: boolean): void {
    this.#begin(op);
    this.#u32(Command.stream, stream);
    this.#u32(Command.value, on ? 1 : 0);
    this.#run('set');
  }

  #begin(op: number): void {
    new Uint8Array(this.#c.buffer, this.#c.byteOffset, Command.SIZE).fill(0);
    this.#u32(Command.op, op);
  }

  #source(command: SourceCommand): void {
    this.#bytes(Command.open + Open.source, abiAddress(command.source));
    this.#bytes(Command.open + Open.local, abiAddress(command.local));
    this.#ports(Command.open + Open.sourcePort, command.sourcePorts);
    this.#ports(Command.open + Open.localPort, command.localPorts);
    this.#u32(Command.open + Open.clockRate, command.clockRate);
    this.#u32(Command.open + Open.codec, command.codec);
    this.#u32(Command.open + Open.payloadType, command.payloadType);
    this.#u32(Command.open + Open.descriptor, command.descriptorId ?? 0);
  }

  #viewer(op: number, slot: number, id: number): void {
    this.#begin(op);
    this.#u32(Command.slot, slot);
    this.#u32(Command.id, id);
  }

  #run(what: string): void {
    let result = -EBUSY;
    for (let i = 0; i < BUSY_TRIES && result === -EBUSY; i++) {
      this.#program.run();
      result = this.#c.getInt32(Command.result, true);
    }
    if (result < 0) throw KernelError.fromErrno(`kernel command ${what}`, -result);
  }

  #u32(at: number, value: number): void {
    this.#c.setUint32(at, value, true);
  }

  #bytes(at: number, bytes: Uint8Array): void {
    new Uint8Array(this.#c.buffer, this.#c.byteOffset + at, bytes.length).set(bytes);
  }

  /** Network order, as packets carry them. */
  #ports(at: number, ports: Ports): void {
    this.#c.setUint16(at + 2 * Kind.RTP, ports.rtp, false);
    this.#c.setUint16(at + 2 * Kind.RTCP, ports.rtcp, false);
  }

  #hop(at: number, hop: HopCommand): void {
    this.#u32(at + NextHop.ifindex, hop.ifindex);
    this.#u32(at + NextHop.mtu, hop.mtu);
    this.#bytes(at + NextHop.sourceMac, hop.sourceMac);
    this.#bytes(at + NextHop.mac, hop.mac);
  }
}
