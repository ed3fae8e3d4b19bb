// SPDX-License-Identifier: Apache-2.0
// The TCP port that viewers connect to: who is let in, and how many (limits.ts).

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import type { Endpoint, Listener, ListenerOptions } from '../path/ports.js';
import { Holders } from '../state/tally.js';
import { plainAddress } from './address.js';
import { ViewerConnection } from './viewer-connection.js';

/** accept() that fails (EMFILE: no descriptors left) is told in the log at most this often. */
const ACCEPT_LOG_MS = 1000;
const KEEP_ALIVE_MS = 30_000;

export async function openListener(
  at: { host: string; port: number },
  options: ListenerOptions,
): Promise<Listener> {
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
  await listen(server, at);
  return new TcpListener(server, options);
}

function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new Error(`cannot listen on ${host}:${port}: ${reasonOf(error)}`, { cause: error })),
    );
    server.listen({ host, port, backlog: 1024 }, () => {
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
  #mayLog = true;

  constructor(server: Server, options: ListenerOptions) {
    const { address, port } = server.address() as AddressInfo;
    this.address = { address, port };
    this.#server = server;
    this.#options = options;
    this.#perAddress = new Holders(options.limits.connectionsPerAddress);
    server.on('connection', (socket) => this.#accept(socket));
    server.on('error', (error) => this.#acceptFailed(error));
  }

  get connections(): number {
    return this.#open.size;
  }

  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#open) connection.close();
    return closed;
  }

  #accept(socket: Socket): void {
    const { limits, refused } = this.#options;
    // A client that has gone by now leaves a socket without addresses.
    if (socket.remoteAddress === undefined || socket.localAddress === undefined) {
      socket.destroy();
      return;
    }
    const address = plainAddress(socket.remoteAddress);
    const full = this.#open.size >= limits.connections;
    if (full || !this.#perAddress.enter(address)) {
      refused.add(full ? 'connection-too-many' : 'connection-too-many-of-address');
      socket.on('error', () => undefined);
      socket.resetAndDestroy();
      return;
    }
    const connection = new ViewerConnection(socket, this.#options, () => {
      this.#open.delete(connection);
      this.#perAddress.leave(address);
    });
    this.#open.add(connection);
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
