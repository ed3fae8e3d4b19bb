// SPDX-License-Identifier: Apache-2.0
// A listening TCP socket: made anew, or taken over from a former process of ours.

import { createServer, type AddressInfo, type Server } from 'node:net';

import type { Endpoint, ListenAt } from '../path/ports.js';
import { endpointText } from '../state/address.js';

const KEEP_ALIVE_MS = 30_000;

/**
 * `fd`: the socket of a former process of ours, with the viewers that wait in it.
 * Rejects with one sentence for the command line.
 */
export function openServer({ host, port }: ListenAt, fd: number | undefined): Promise<Server> {
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
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
      resolve(server);
    });
  });
}

export function addressOf(server: Server): Endpoint {
  const { address, port } = server.address() as AddressInfo;
  return { address, port };
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return 'the port is in use';
  if (code === 'EADDRNOTAVAIL') return 'it is not an address of this host';
  if (code === 'EACCES') return 'ports below 1024 are for root';
  return message;
}
