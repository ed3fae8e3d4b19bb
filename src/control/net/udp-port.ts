// SPDX-License-Identifier: Apache-2.0
// One bound UDP port: datagrams to several handlers, sends that never throw. The address family is decided here.
import { createSocket, type Socket, type SocketOptions } from 'node:dgram';
import { existsSync } from 'node:fs';
import type { Endpoint } from '../path/ports.js';
import { familyOf, plainAddress } from '../state/address.js';
import type { HeldSockets } from './held-sockets.js';
import { WaitingDatagrams } from './waiting-datagrams.js';

const IPV4 = { type: 'udp4', any: '0.0.0.0', number: 4, mapped: '' } as const;
/** IPv4 addresses are mapped on the socket (RFC 3493 3.7), and only there. */
const BOTH = { type: 'udp6', any: '::', number: 6, mapped: '::ffff:' } as const;
/** Of sockets that are not asked for otherwise: IPv4 only where the kernel has no IPv6. */
const USUAL = existsSync('/proc/net/if_inet6') ? BOTH : IPV4;

/** Room for a key frame that comes back to back; the kernel gives at most net.core.rmem_max, silently. */
const RECEIVE_BUFFER = 1024 * 1024;

export type DatagramHandler = (packet: Buffer, from: Endpoint) => void;
/** Called once per send: the datagram was handed to the kernel, or why not. */
export type Sent = (error: NodeJS.ErrnoException | null) => void;

/**
 * Every address here is an IP address already, so nothing is looked up. Answering at once matters: dgram would put
 * the send off to a later turn, and a viewer removed in this turn would still get it.
 */
function noLookup({ mapped, number }: typeof IPV4 | typeof BOTH): NonNullable<SocketOptions['lookup']> {
  return (address, _options, callback) =>
    callback(null, familyOf(address) === 4 ? mapped + address : address, number);
}

export interface UdpPortOptions {
  /** Instead of the usual family. */
  readonly type?: 'udp4';
  /** Other sockets may have the port as well: receivers of one multicast group. */
  readonly reuseAddr?: boolean;
  /** Called once the socket is bound and before anything is received; what it throws, bind() rejects with. */
  readonly prepare?: (socket: Socket) => void;
}

export class UdpPort {
  readonly #socket: Socket;
  readonly #handlers: DatagramHandler[] = [];
  readonly #onError: (error: unknown) => void;
  readonly #any: string;
  readonly #prepare: UdpPortOptions['prepare'];
  #release: (() => void) | undefined;
  /** Of an adopted socket, until all that came before deliver() has been handed on. */
  #waiting: WaitingDatagrams | undefined;
  #closed: Promise<void> | undefined;

  /** `onError` hears of what a handler throws and of what fails in the socket; neither ends anything. */
  constructor(onError: (error: unknown) => void, options: UdpPortOptions = {}) {
    const { type, reuseAddr = false, prepare } = options;
    const family = type === 'udp4' ? IPV4 : USUAL;
    this.#onError = onError;
    this.#prepare = prepare;
    this.#socket = createSocket({ type: family.type, reuseAddr, lookup: noLookup(family) });
    this.#any = family.any;
  }

  /** Rejects with the system's error (EADDRINUSE, EADDRNOTAVAIL, EACCES), closed. */
  async bind(port: number, address: string = this.#any): Promise<this> {
    try {
      await new Promise<void>((resolve, reject) => {
        this.#socket.once('error', reject).once('listening', resolve).bind(port, address);
      });
      this.#prepare?.(this.#socket);
      this.#socket.setRecvBufferSize(RECEIVE_BUFFER);
    } catch (error) {
      await this.close();
      throw error;
    }
    return this.#listening();
  }

  /** Takes the bound socket of a former process of ours; what comes waits for deliver(). Rejects when it is none. */
  async adopt(fd: number): Promise<this> {
    this.#waiting = new WaitingDatagrams();
    try {
      await new Promise<void>((resolve, reject) => {
        this.#socket.once('error', reject).once('listening', resolve).bind({ fd });
      });
    } catch (error) {
      await this.close();
      throw error;
    }
    return this.#listening();
  }

  /** Hands on what waits, paced: viewers get it in one go otherwise, and their sockets overflow. */
  deliver(): void {
    this.#waiting?.drain(
      (packet, from) => this.#deliver(packet, from),
      () => (this.#waiting = undefined),
    );
  }

  /** It outlives this process under that name, until it is closed. */
  hold(held: HeldSockets, name: string, isThere = false): void {
    if (!isThere) held.put(name, this.#socket);
    this.#release = () => held.remove(name);
  }

  #listening(): this {
    this.#socket.removeAllListeners('error').on('error', this.#onError);
    this.#socket.on('message', (packet, { address, port }) =>
      this.#receive(packet, { address: plainAddress(address), port }),
    );
    return this;
  }

  onDatagram(handler: DatagramHandler): void {
    this.#handlers.push(handler);
  }

  /** The system call is made before this returns, unless earlier datagrams still wait for room in the socket. */
  send(packet: Buffer, to: Endpoint, sent: Sent): void {
    if (this.#closed) return sent(new Error('socket closed'));
    try {
      this.#socket.send(packet, to.port, to.address, (error) => sent(error));
    } catch (error) {
      sent(error as NodeJS.ErrnoException); // a port out of range
    }
  }

  /** Nothing is delivered from now on. Resolves when the port is free again. */
  close(): Promise<void> {
    this.#release?.();
    this.#release = undefined;
    this.#waiting?.close();
    this.#closed ??= new Promise((resolve) => this.#socket.close(resolve));
    return this.#closed;
  }

  #receive(packet: Buffer, from: Endpoint): void {
    if (this.#waiting) this.#waiting.push(packet, from);
    else this.#deliver(packet, from);
  }

  #deliver(packet: Buffer, from: Endpoint): void {
    for (const handler of this.#handlers) {
      if (this.#closed) return;
      try {
        handler(packet, from);
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
