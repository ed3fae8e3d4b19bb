// SPDX-License-Identifier: Apache-2.0
// A track on the air: its SSRC, where it is, who gets it, and its sender reports (RFC 3550 5.1, 6.4.1).

import { randomInt } from 'node:crypto';

import { buildGoodbye, buildSenderReport } from '../../src/control/rtcp/build.js';
import { ntpFromUnixNs } from '../../src/control/rtcp/ntp.js';
import type { Track } from './track.js';
import type { UdpPair } from './udp-pair.js';

export interface Destination {
  readonly address: string;
  readonly rtpPort: number;
  readonly rtcpPort: number;
}

const CNAME = 'test-camera';
const RTP_HEADER = 12;

export class LiveTrack {
  readonly ssrc = randomInt(2 ** 32);
  readonly viewers = new Set<Destination>();
  readonly #firstSeq = randomInt(2 ** 16);
  readonly #firstTimestamp = randomInt(2 ** 32);
  #index = 0;
  #packets = 0;
  #octets = 0;

  constructor(
    readonly track: Track,
    readonly sockets: UdpPair,
  ) {}

  /** Skips what nobody was to see; sequence numbers go on. */
  seek(seconds: number): void {
    this.#index = Math.max(this.#index, this.track.indexAt(seconds));
  }

  /** Sequence number and RTP timestamp of the next packet. */
  get next(): { seq: number; rtptime: number } {
    const rtptime = this.track.packet(this.#index)?.timestamp ?? 0;
    return {
      seq: (this.#firstSeq + this.#packets) & 0xffff,
      rtptime: (this.#firstTimestamp + rtptime) >>> 0,
    };
  }

  /** Sends all that is due by `seconds`. Returns when the next packet is; undefined: there is none. */
  sendUntil(seconds: number): number | undefined {
    for (;;) {
      const packet = this.track.packet(this.#index);
      if (!packet || packet.due > seconds) return packet?.due;
      const datagram = Buffer.concat([this.#header(packet.marker), packet.payload]);
      for (const { address, rtpPort } of this.viewers) this.sockets.rtp.send(datagram, rtpPort, address);
      this.#index++;
      this.#packets++;
      this.#octets += packet.payload.length;
    }
  }

  /** `seconds` is now; the report relates it to the wall clock. */
  sendReport(seconds: number, to: Iterable<Destination> = this.viewers): void {
    const { clockRate } = this.track.format;
    const report = buildSenderReport(
      {
        ssrc: this.ssrc,
        ntp: ntpFromUnixNs(BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6))),
        rtpTimestamp: (this.#firstTimestamp + Math.round(seconds * clockRate)) >>> 0,
        packetCount: this.#packets >>> 0,
        octetCount: this.#octets >>> 0,
      },
      CNAME,
    );
    this.#sendRtcp(report, to);
  }

  sendGoodbye(): void {
    this.#sendRtcp(buildGoodbye(this.ssrc, CNAME), this.viewers);
  }

  #sendRtcp(datagram: Buffer, to: Iterable<Destination>): void {
    for (const { address, rtcpPort } of to) this.sockets.rtcp.send(datagram, rtcpPort, address);
  }

  #header(marker: boolean): Buffer {
    const { seq, rtptime } = this.next;
    const header = Buffer.alloc(RTP_HEADER);
    header.writeUInt8(0x80, 0);
    header.writeUInt8((marker ? 0x80 : 0) | this.track.format.payloadType, 1);
    header.writeUInt16BE(seq, 2);
    header.writeUInt32BE(rtptime, 4);
    header.writeUInt32BE(this.ssrc, 8);
    return header;
  }
}
