// SPDX-License-Identifier: Apache-2.0
// Two adjacent UDP sockets, RTP on the even port, RTCP on the odd one above it (RFC 3550 11).

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';

const ATTEMPTS = 100;

export interface UdpPair {
  readonly rtp: Socket;
  readonly rtcp: Socket;
}

/** @throws Error when no pair is free. */
export async function openUdpPair(address: string): Promise<UdpPair> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const first = await bind(address, 0);
    const port = first.address().port;
    const second = await bind(address, port ^ 1).catch(() => undefined);
    if (second) return port % 2 === 0 ? { rtp: first, rtcp: second } : { rtp: second, rtcp: first };
    first.close();
  }
  throw new Error(`no two adjacent UDP ports are free on ${address}`);
}

async function bind(address: string, port: number): Promise<Socket> {
  const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', sendBufferSize: 1 << 20 });
  socket.bind(port, address);
  await once(socket, 'listening').catch((error: unknown) => {
    socket.close();
    throw error;
  });
  socket.on('error', () => {}); // ICMP unreachable and the like: a viewer that left is noticed by its timeout
  return socket;
}
