// SPDX-License-Identifier: Apache-2.0
// When the source's last sender reports were sent on: a viewer's report names one of them, and the round trip counts
// from our own clock (RFC 3550 6.4.1).
import { ntpMiddle } from '../rtcp/ntp.js';
import { RTCP_SR } from '../rtcp/packet.js';
import { Limit } from './abi.gen.js';

const SR_LENGTH = 28;
const NTP = 8;

export class SenderReports {
  /** Newest last. */
  readonly #sent: { ntpMiddle: number; ns: bigint }[] = [];

  /** Takes RTCP of version 2 from the source; a sender report, if there is one, comes first. */
  note(packet: Buffer, nowNs: bigint): void {
    if (packet.length < SR_LENGTH || packet.readUInt8(1) !== RTCP_SR) return;
    this.#sent.push({ ntpMiddle: ntpMiddle(packet.readBigUInt64BE(NTP)), ns: nowNs });
    if (this.#sent.length > Limit.SR_HISTORY) this.#sent.shift();
  }

  /** Monotonic ns of the newest report with these middle 32 bits. */
  sentNs(middle: number): bigint | undefined {
    return this.#sent.findLast((sent) => sent.ntpMiddle === middle)?.ns;
  }
}
