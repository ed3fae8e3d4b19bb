// SPDX-License-Identifier: Apache-2.0
// The TCP ports that viewers connect to: who is let in, and how many (limits.ts). The first bytes tell RTSP from HTTP.

import { Socket, type Server } from 'node:net';
import type { Duplex } from 'node:stream';

import type { Endpoint, ListenAt, Listener, ListenerOptions, ViewerLink } from '../path/ports.js';
import { beginsWithHttp } from '../rtsp/tunnel.js';
import { holderOf } from '../state/address.js';
import { ChurnSet } from '../state/churn.js';
import { Holders } from '../state/tally.js';
import type { HeldSockets } from './held-sockets.js';
import { HttpTunnels } from './http-tunnels.js';
import { addressOf, openServer } from './tcp-server.js';
import { TlsDoor } from './tls-door.js';
import { ViewerConnection } from './viewer-connection.js';
import { endsOf, type Wire } from './wire.js';

/** accept() that fails (EMFILE: no descriptors left) is told in the log at most this often. */
const ACCEPT_LOG_MS = 1000;

export async function openListener(
  at: ListenAt,
  options: ListenerOptions,
  held?: HeldSockets,
): Promise<Listener> {
  const listener = new TcpListener(options, held);
  try {
    await listener.open(at);
  } catch (error) {
    await listener.close();
    throw error;
  }
  return listener;
}

class TcpListener implements Listener {
  address: Endpoint = { address: '', port: 0 };
  tlsAddress: Endpoint | undefined;
  readonly #servers = new Map<string, Server>();
  readonly #options: ListenerOptions;
  readonly #sockets = new ChurnSet<Socket>();
  readonly #connections = new ChurnSet<ViewerConnection>();
  readonly #perAddress: Holders;
  readonly #tunnels: HttpTunnels;
  readonly #held: HeldSockets | undefined;
  #tls: TlsDoor | undefined;
  #mayLog = true;
  #closing = false;

  constructor(options: ListenerOptions, held: HeldSockets | undefined) {
    this.#options = options;
    this.#held = held;
    this.#perAddress = new Holders(options.limits.connectionsPerAddress);
    this.#tunnels = new HttpTunnels(options, (wire) => this.#serve(wire));
  }

  async open(at: ListenAt): Promise<void> {
    const { tls } = at;
    if (tls) this.#tls = new TlsDoor(tls.files, this.#options, (stream) => this.#secured(stream));
    const plain = await this.#openServer('listen', at, (socket) => this.#arrive(socket, socket));
    if (tls)
      this.tlsAddress = await this.#openServer('listen-tls', tls.at, (socket) =>
        this.#tls!.handshake(socket),
      );
    this.address = plain;
  }

  async #openServer(name: string, at: ListenAt, admitted: (socket: Socket) => void): Promise<Endpoint> {
    const server = await openServer(at, this.#held?.take(name));
    this.#held?.put(name, server);
    this.#servers.set(name, server);
    server.on('connection', (socket) => {
      if (this.#admit(socket)) admitted(socket);
    });
    server.on('error', (error) => this.#acceptFailed(error));
    return addressOf(server);
  }

  get connections(): number {
    return this.#sockets.size;
  }

  restore(name: string): ViewerLink | undefined {
    const fd = this.#held?.take(name);
    if (fd === undefined) return undefined;
    const socket = new Socket({ fd });
    const ends = this.#admit(socket) ? endsOf(socket) : undefined;
    if (ends) return this.#serve({ ...ends, stream: socket, secure: false, holdable: socket }, name);
    this.#held?.remove(name);
    return undefined;
  }

  async quiesce(): Promise<void> {
    await Promise.all([...this.#connections].map((connection) => connection.quiesce()));
  }

  reloadTls(): void {
    this.#tls?.reload();
  }

  async close(): Promise<void> {
    const closed = [...this.#servers].map(([name, server]) => {
      this.#held?.remove(name);
      return new Promise<void>((resolve) => server.close(() => resolve()));
    });
    this.#closing = true;
    for (const connection of this.#connections) connection.close();
    this.#cutRest();
    await Promise.all(closed);
  }

  /** When no answer is being written any more, what is left has not asked for anything yet. */
  #cutRest(): void {
    if (!this.#closing || this.#connections.size > 0) return;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** False: it has been refused. */
  #admit(socket: Socket): boolean {
    const { limits, refused } = this.#options;
    const ends = endsOf(socket);
    if (!ends) {
      socket.destroy();
      return false;
    }
    const holder = holderOf(ends.remote.address);
    const full = this.#sockets.size >= limits.connections;
    socket.on('error', () => undefined); // reset, timed out: 'close' follows
    if (full || !this.#perAddress.enter(holder)) {
      refused.add(full ? 'connection-too-many' : 'connection-too-many-of-address');
      socket.resetAndDestroy();
      return false;
    }
    this.#sockets.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#perAddress.leave(holder);
    });
    return true;
  }

  #secured(stream: Duplex): void {
    this.#arrive(stream, undefined);
  }

  /** Looks at the first bytes and leaves them to whoever they are for. */
  #arrive(stream: Duplex, holdable: Socket | undefined): void {
    const ends = endsOf(stream as Socket);
    if (!ends) {
      stream.destroy();
      return;
    }
    const wire: Wire = { ...ends, stream, secure: holdable === undefined, holdable };
    const { deadlines, limits, refused } = this.#options;
    const deadline = deadlines.in(limits.idleMs, () => {
      refused.add('connection-idle');
      stream.destroy();
    });
    stream.on('error', () => undefined);
    stream.once('close', () => deadline.cancel());
    let seen: Buffer = Buffer.alloc(0);
    const look = (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      const http = beginsWithHttp(seen);
      if (http === undefined) return;
      deadline.cancel();
      stream.off('data', look);
      stream.pause();
      stream.unshift(seen);
      if (http) this.#tunnels.enter(wire);
      else this.#serve(wire);
    };
    stream.on('data', look);
  }

  #serve(wire: Wire, name?: string): ViewerLink {
    const gone = () => {
      this.#connections.delete(connection);
      this.#cutRest();
    };
    const connection: ViewerConnection = new ViewerConnection(wire, this.#options, gone, this.#held, name);
    this.#connections.add(connection);
    wire.stream.resume();
    return connection;
  }

  #acceptFailed(error: Error): void {
    const { refused, log, deadlines } = this.#options;
    refused.add('connection-accept-failed');
    if (!this.#mayLog) return;
    this.#mayLog = false;
    deadlines.in(ACCEPT_LOG_MS, () => {
      this.#mayLog = true;
    });
    log.error({ err: error }, 'a viewer could not be let in');
  }
}
