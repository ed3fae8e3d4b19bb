// SPDX-License-Identifier: Apache-2.0
// The UDP side of one viewer's m= section: binds its port pair, counts the media and reports like a player does
// (RFC 3550 6.4: receiver reports with loss, jitter and the echo of the last sender report).
import { type Socket, createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { buildReceiverReport } from '../../src/control/rtcp/build.js';
import { RTCP_SR, type ReportBlock } from '../../src/control/rtcp/packet.js';
import { Sequence } from './sequence.js';
import type { Track } from './viewer.js';

const RTP_HEADER = 12;
const SR_SIZE = 28;

export class Receiver {
  readonly sequence = new Sequence();
  /** Each RTP packet as it comes. */
  onRtp: (packet: Buffer) => void = () => {};
  rtcp = 0;
  #sourceSsrc: number | undefined;
  #jitter = 0;
  #transit: number | undefined;
  #reported = { expected: 0, lost: 0 };
  #senderReport: { ntpMiddle: number; arrivedMs: number } | undefined;
  readonly #ssrc = (Math.random() * 2 ** 32) >>> 0;
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

  /** RTP timestamp units per second; without it no jitter is kept. */
  clockRate = 0;

  private constructor(family: 'udp4' | 'udp6') {
    this.#rtp = createSocket(family).on('message', (packet) => this.#receivedRtp(packet));
    this.#rtcp = createSocket(family).on('message', (packet) => this.#receivedRtcp(packet));
  }

  #receivedRtp(packet: Buffer): void {
    if (packet.length < RTP_HEADER || packet[0]! >> 6 !== 2) return;
    this.#sourceSsrc = packet.readUInt32BE(8);
    this.sequence.note(packet.readUInt16BE(2));
    this.onRtp(packet);
    // RFC 3550 A.8, with the wrap of the timestamp's 32 bits.
    const arrival = Math.round((performance.now() * this.clockRate) / 1000);
    const transit = (arrival - packet.readUInt32BE(4)) | 0;
    if (this.#transit !== undefined && this.clockRate > 0)
      this.#jitter += (Math.abs((transit - this.#transit) | 0) - this.#jitter) / 16;
    this.#transit = transit;
  }

  #receivedRtcp(packet: Buffer): void {
    this.rtcp++;
    if (packet.length >= SR_SIZE && packet[1] === RTCP_SR)
      this.#senderReport = { ntpMiddle: packet.readUInt32BE(10), arrivedMs: performance.now() };
  }

  /** Sends one report to where the server takes them: empty until media has come. */
  report(track: Track): void {
    if (track.serverRtcpPort === undefined) return;
    const packet = buildReceiverReport(this.#ssrc, 'rtsp-load', this.#block());
    // What cannot be sent is lost, as RTCP may be.
    this.#rtcp.send(packet, track.serverRtcpPort, track.serverAddress, () => {});
  }

  #block(): ReportBlock[] {
    const { extendedHighest, expected, lost } = this.sequence;
    if (extendedHighest === undefined) return [];
    const since = { expected: expected - this.#reported.expected, lost: lost - this.#reported.lost };
    this.#reported = { expected, lost };
    const sr = this.#senderReport;
    return [
      {
        ssrc: this.#sourceSsrc!,
        fraction: since.lost <= 0 ? 0 : Math.min(255, Math.floor((256 * since.lost) / since.expected)),
        cumulative: lost - this.sequence.duplicated,
        extendedMaxSeq: extendedHighest,
        jitter: Math.floor(this.#jitter),
        lsr: sr?.ntpMiddle ?? 0,
        dlsr: sr ? Math.round(((performance.now() - sr.arrivedMs) * 65_536) / 1000) >>> 0 : 0,
      },
    ];
  }

  close(): void {
    this.#rtp.close();
    this.#rtcp.close();
  }
}
