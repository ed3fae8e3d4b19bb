// SPDX-License-Identifier: Apache-2.0
// A listening TCP socket: made anew, or taken over from a former process of ours.

import { createServer, type AddressInfo, type Server } from 'node:net';

import type { Endpoint, ListenAt } from '../path/ports.js';
import { lookup } from 'node:dns/promises';
import { endpointText } from '../state/address.js';
import { boundMptcpSocket, NO_IPV6 } from './mptcp.js';

const KEEP_ALIVE_MS = 30_000;
const BACKLOG = 1024;

/**
 * `fd`: the socket of a former process of ours, with the viewers that wait in it.
 * Rejects with one sentence for the command line.
 */
export async function openServer(at: ListenAt, fd: number | undefined): Promise<Server> {
  const { host, port } = at;
  let made = fd;
  try {
    if (at.mptcp) made ??= await bindMptcp(at);
  } catch (error) {
    throw refusedToListen(at, error as NodeJS.ErrnoException);
  }
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(refusedToListen(at, error)));
    // Without a host Node takes all addresses of both families, or of IPv4 where there is no IPv6.
    const anew = { ...(host !== undefined && { host }), port, backlog: BACKLOG };
    server.listen(made === undefined ? anew : { fd: made, backlog: BACKLOG }, () => {
      server.removeAllListeners('error');
      resolve(server);
    });
  });
}

export function addressOf(server: Server): Endpoint {
  const { address, port } = server.address() as AddressInfo;
  return { address, port };
}

async function bindMptcp({ host, port }: ListenAt): Promise<number> {
  if (host !== undefined) return boundMptcpSocket((await lookup(host)).address, port);
  try {
    return boundMptcpSocket('::', port);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === NO_IPV6) return boundMptcpSocket('0.0.0.0', port);
    throw error;
  }
}

function refusedToListen({ host, port }: ListenAt, error: NodeJS.ErrnoException): Error {
  const where = endpointText(host ?? 'any address', port);
  return new Error(`cannot listen on ${where}: ${reasonOf(error)}`, { cause: error });
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return 'the port is in use';
  if (code === 'EADDRNOTAVAIL') return 'it is not an address of this host';
  if (code === 'EACCES') return 'ports below 1024 are for root';
  return message;
}
