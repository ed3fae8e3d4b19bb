// SPDX-License-Identifier: Apache-2.0
// The UDP side of one viewer's m= section: binds its port pair, counts the media and reports like a player does.
import { type Socket, createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { Reception } from './reception.js';
import type { Track } from './viewer.js';

export class Receiver {
  readonly reception = new Reception();
  /** Each RTP packet as it comes. */
  onRtp: (packet: Buffer) => void = () => {};
  readonly #rtp: Socket;
  readonly #rtcp: Socket;

  /** @throws when a port is taken. */
  static async bind(address: string | undefined, rtpPort: number): Promise<Receiver> {
    const receiver = new Receiver(isIPv6(address ?? '') ? 'udp6' : 'udp4');
    const bind = (socket: Socket, port: number) =>
      new Promise<void>((resolve, reject) => {
        socket.once('error', reject).bind(port, address, () => {
          // An ICMP error that a report brought in is no reason to stop.
          socket.off('error', reject).on('error', () => {});
          resolve();
        });
      });
    try {
      await bind(receiver.#rtp, rtpPort);
      await bind(receiver.#rtcp, rtpPort + 1);
    } catch (error) {
      receiver.close();
      throw error;
    }
    return receiver;
  }

  private constructor(family: 'udp4' | 'udp6') {
    const { reception } = this;
    this.#rtp = createSocket(family).on('message', (packet) => {
      if (reception.rtp(packet)) this.onRtp(packet);
    });
    this.#rtcp = createSocket(family).on('message', (packet) => reception.rtcpPacket(packet));
  }

  /** Sends one report to where the server takes them. */
  report(track: Track): void {
    if (track.serverRtcpPort === undefined) return;
    // What cannot be sent is lost, as RTCP may be.
    this.#rtcp.send(this.reception.report(), track.serverRtcpPort, track.serverAddress, () => {});
  }

  close(): void {
    this.#rtp.close();
    this.#rtcp.close();
  }
}
