// SPDX-License-Identifier: Apache-2.0
// The TCP port that viewers connect to: who is let in, and how many (limits.ts).

import { createServer, Socket, type AddressInfo, type Server } from 'node:net';

import type { Endpoint, ListenAt, Listener, ListenerOptions, ViewerLink } from '../path/ports.js';
import { endpointText, holderOf, plainAddress } from '../state/address.js';
import { Holders } from '../state/tally.js';
import type { HeldSockets } from './held-sockets.js';
import { ViewerConnection } from './viewer-connection.js';

/** accept() that fails (EMFILE: no descriptors left) is told in the log at most this often. */
const ACCEPT_LOG_MS = 1000;
const KEEP_ALIVE_MS = 30_000;
const HELD_NAME = 'listen';

export async function openListener(
  at: ListenAt,
  options: ListenerOptions,
  held?: HeldSockets,
): Promise<Listener> {
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
  await listen(server, at, held?.take(HELD_NAME));
  held?.put(HELD_NAME, server);
  return new TcpListener(server, options, held);
}

/** `fd`: the socket of a former process of ours, with the viewers that wait in it. */
function listen(server: Server, { host, port }: ListenAt, fd: number | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new Error(`cannot listen on ${endpointText(host ?? 'any address', port)}: ${reasonOf(error)}`, {
          cause: error,
        }),
      ),
    );
    // Without a host Node takes all addresses of both families, or of IPv4 where there is no IPv6.
    const anew = { ...(host !== undefined && { host }), port, backlog: 1024 };
    server.listen(fd === undefined ? anew : { fd }, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return 'the port is in use';
  if (code === 'EADDRNOTAVAIL') return 'it is not an address of this host';
  if (code === 'EACCES') return 'ports below 1024 are for root';
  return message;
}

class TcpListener implements Listener {
  readonly address: Endpoint;
  readonly #server: Server;
  readonly #options: ListenerOptions;
  readonly #open = new Set<ViewerConnection>();
  readonly #perAddress: Holders;
  readonly #held: HeldSockets | undefined;
  #mayLog = true;

  constructor(server: Server, options: ListenerOptions, held: HeldSockets | undefined) {
    const { address, port } = server.address() as AddressInfo;
    this.address = { address, port };
    this.#server = server;
    this.#options = options;
    this.#held = held;
    this.#perAddress = new Holders(options.limits.connectionsPerAddress);
    server.on('connection', (socket) => this.#accept(socket));
    server.on('error', (error) => this.#acceptFailed(error));
  }

  get connections(): number {
    return this.#open.size;
  }

  restore(name: string): ViewerLink | undefined {
    const fd = this.#held?.take(name);
    return fd === undefined ? undefined : this.#accept(new Socket({ fd }), name);
  }

  async quiesce(): Promise<void> {
    await Promise.all([...this.#open].map((connection) => connection.quiesce()));
  }

  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#held?.remove(HELD_NAME);
    for (const connection of this.#open) connection.close();
    return closed;
  }

  #accept(socket: Socket, name?: string): ViewerLink | undefined {
    const { limits, refused } = this.#options;
    // A client that has gone by now leaves a socket without addresses.
    if (socket.remoteAddress === undefined || socket.localAddress === undefined) {
      socket.destroy();
      if (name !== undefined) this.#held?.remove(name);
      return undefined;
    }
    const holder = holderOf(plainAddress(socket.remoteAddress));
    const full = this.#open.size >= limits.connections;
    if (full || !this.#perAddress.enter(holder)) {
      refused.add(full ? 'connection-too-many' : 'connection-too-many-of-address');
      socket.on('error', () => undefined);
      socket.resetAndDestroy();
      if (name !== undefined) this.#held?.remove(name);
      return undefined;
    }
    const gone = () => {
      this.#open.delete(connection);
      this.#perAddress.leave(holder);
    };
    const connection: ViewerConnection = new ViewerConnection(socket, this.#options, gone, this.#held, name);
    this.#open.add(connection);
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
