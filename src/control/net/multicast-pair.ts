// SPDX-License-Identifier: Apache-2.0
// Pairs of UDP sockets for IPv4 multicast (RFC 1112): for sending to a group of ours, for receiving from another's.

import type { Socket } from 'node:dgram';
import type { MulticastReceiver, MulticastSender, UdpPair } from '../path/ports.js';
import { bindPorts, type UdpPairOptions } from './udp-pair.js';

/** What we send does not come back to this host: nobody here is to get it (see DeviceFor), least of all ourselves. */
function sendBy(socket: Socket, address: string, ttl: number): void {
  socket.setMulticastInterface(address);
  socket.setMulticastTTL(ttl);
  socket.setMulticastLoopback(false);
}

/** Viewers send their reports to the group's RTCP port, or to where our sender reports come from: the same socket. */
export function toGroup({ group, device, ttl }: MulticastSender): UdpPairOptions {
  const prepare = (socket: Socket) => sendBy(socket, device.address, ttl);
  return {
    address: '0.0.0.0', // reports by unicast come to one of this host's addresses, those to the group to that
    rtp: { type: 'udp4', prepare },
    rtcp: {
      type: 'udp4',
      prepare(socket) {
        prepare(socket);
        socket.addMembership(group, device.address);
      },
    },
  };
}

/** Bound to the group's address, so that unicast and other groups on these ports stay out; joined for that source only. */
export function joinGroup(receiver: MulticastReceiver, options: UdpPairOptions = {}): Promise<UdpPair> {
  const { group, source, localAddress, ttl } = receiver;
  const each = {
    type: 'udp4',
    reuseAddr: true,
    prepare(socket: Socket) {
      socket.addSourceSpecificMembership(source, group, localAddress);
      sendBy(socket, localAddress, ttl);
    },
  } as const;
  const ports = { rtp: receiver.rtpPort, rtcp: receiver.rtcpPort };
  return bindPorts(ports, { ...options, address: group, rtp: each, rtcp: each });
}
