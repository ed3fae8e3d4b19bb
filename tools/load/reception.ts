// SPDX-License-Identifier: Apache-2.0
// What one viewer's m= section has received, and the reception report that a player makes of it (RFC 3550 6.4.2: loss, jitter and
// the echo of the last sender report).
import { buildReceiverReport } from '../../src/control/rtcp/build.js';
import { RTCP_SR, type ReportBlock } from '../../src/control/rtcp/packet.js';
import { Sequence } from './sequence.js';

const RTP_HEADER = 12;
const SR_SIZE = 28;
export const SENDER = 'rtsp-load';

export class Reception {
  readonly sequence = new Sequence();
  /** Of RTP, headers included. */
  bytes = 0;
  rtcp = 0;
  /** RTP timestamp units per second; without it no jitter is kept. */
  clockRate = 0;
  ssrc = 0;
  #jitter = 0;
  #transit: number | undefined;
  #reported = { expected: 0, lost: 0 };
  #senderReport: { ntpMiddle: number; arrivedMs: number } | undefined;
  readonly #ssrc = (Math.random() * 2 ** 32) >>> 0;

  /** False: it is no RTP packet. */
  rtp(packet: Buffer): boolean {
    if (packet.length < RTP_HEADER || packet[0]! >> 6 !== 2) return false;
    this.bytes += packet.length;
    this.ssrc = packet.readUInt32BE(8);
    this.sequence.note(packet.readUInt16BE(2));
    this.#clock(packet.readUInt32BE(4));
    return true;
  }

  /** RFC 3550 A.8, with the wrap of the timestamp's 32 bits. */
  #clock(timestamp: number): void {
    if (this.clockRate === 0) return;
    const arrival = Math.round((performance.now() * this.clockRate) / 1000);
    const transit = (arrival - timestamp) | 0;
    if (this.#transit !== undefined)
      this.#jitter += (Math.abs((transit - this.#transit) | 0) - this.#jitter) / 16;
    this.#transit = transit;
  }

  rtcpPacket(packet: Buffer): void {
    this.rtcp++;
    if (packet.length >= SR_SIZE && packet[1] === RTCP_SR)
      this.#senderReport = { ntpMiddle: packet.readUInt32BE(10), arrivedMs: performance.now() };
  }

  /** An RTCP packet; without a block until media has come. */
  report(): Buffer {
    return buildReceiverReport(this.#ssrc, SENDER, this.#block());
  }

  #block(): ReportBlock[] {
    const { extendedHighest, expected, lost } = this.sequence;
    if (extendedHighest === undefined) return [];
    const since = { expected: expected - this.#reported.expected, lost: lost - this.#reported.lost };
    this.#reported = { expected, lost };
    const sr = this.#senderReport;
    return [
      {
        ssrc: this.ssrc,
        fraction: since.lost <= 0 ? 0 : Math.min(255, Math.floor((256 * since.lost) / since.expected)),
        cumulative: lost - this.sequence.duplicated,
        extendedMaxSeq: extendedHighest,
        jitter: Math.floor(this.#jitter),
        lsr: sr?.ntpMiddle ?? 0,
        dlsr: sr ? Math.round(((performance.now() - sr.arrivedMs) * 65_536) / 1000) >>> 0 : 0,
      },
    ];
  }
}
