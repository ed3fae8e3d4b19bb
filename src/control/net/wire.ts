// SPDX-License-Identifier: Apache-2.0
// What a viewer's RTSP is carried by: a TCP connection, TLS upon one, or the two connections of a tunnel.

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import type { Endpoint } from '../path/ports.js';
import { plainAddress } from '../state/address.js';

export interface Wire {
  readonly stream: Duplex;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** Encrypted: nobody on the way reads it. */
  readonly secure: boolean;
  /** The socket that another process could go on with. Undefined: there is more to the connection than its descriptor. */
  readonly holdable: Socket | undefined;
}

/** Undefined: the peer has gone already, which leaves a socket without addresses. */
export function endsOf(socket: Socket): Pick<Wire, 'remote' | 'local'> | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (remoteAddress === undefined || localAddress === undefined) return undefined;
  return {
    remote: { address: plainAddress(remoteAddress), port: remotePort! },
    local: { address: plainAddress(localAddress), port: localPort! },
  };
}
