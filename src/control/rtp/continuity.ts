// SPDX-License-Identifier: Apache-2.0
// Rewriting a stream, so that the source behind it can change while viewers play: SSRC, sequence number and timestamp of
// RTP, SSRC and RTP timestamp of RTCP, in place. The twin of bpf/continuity.h.

import type { RtpHeader } from './header.js';

/** What of a former source the next one goes on from. */
export interface LastSent {
  readonly extendedMaxSeq: number;
  readonly timestamp: number;
  readonly arrivalNs: bigint;
}

const SR = 200;
const APP = 204;
const SR_LENGTH = 28;
const NS = 1_000_000_000n;

export class Continuity {
  readonly #clockRate: bigint;
  #sent: number | undefined;
  #seqOffset = 0;
  #timestampOffset = 0;

  /** RTP timestamp units per second; 0: not known, the timestamp then goes on by one. */
  constructor(clockRate: number) {
    this.#clockRate = BigInt(clockRate);
  }

  /** What viewers see: the source's SSRC replaced, offsets added. Undefined before the first packet. */
  get sent():
    { readonly ssrc: number; readonly seqOffset: number; readonly timestampOffset: number } | undefined {
    const { ssrc, seqOffset, timestampOffset } = {
      ssrc: this.#sent,
      seqOffset: this.#seqOffset,
      timestampOffset: this.#timestampOffset,
    };
    return ssrc === undefined ? undefined : { ssrc, seqOffset, timestampOffset };
  }

  /** The source shows under this SSRC, unless viewers know another. */
  begin(ssrc: number): void {
    this.#sent ??= ssrc;
  }

  /** The source has changed its SSRC, and none was ever replaced: viewers see the change. */
  follow(ssrc: number): void {
    this.#sent = ssrc;
  }

  /** The first packet of another source comes right after the last that viewers have seen, and as much later as it came. */
  goOn(last: LastSent, first: RtpHeader, nowNs: bigint): void {
    const elapsed = Number(((nowNs - last.arrivalNs) * this.#clockRate) / NS) || 1;
    this.#seqOffset = (this.#seqOffset + last.extendedMaxSeq + 1 - first.sequence) & 0xffff;
    this.#timestampOffset = (this.#timestampOffset + last.timestamp + elapsed - first.timestamp) >>> 0;
  }

  /** `ssrc`: the source's own, that of the packets that are rewritten. */
  rewriteRtp(packet: Buffer, ssrc: number): void {
    if (!this.#rewrites(ssrc) || packet.readUInt32BE(8) !== ssrc) return;
    packet.writeUInt16BE((packet.readUInt16BE(2) + this.#seqOffset) & 0xffff, 2);
    packet.writeUInt32BE((packet.readUInt32BE(4) + this.#timestampOffset) >>> 0, 4);
    packet.writeUInt32BE(this.#sent!, 8);
  }

  /** Each packet of a compound whose sender is the source. */
  rewriteRtcp(compound: Buffer, ssrc: number): void {
    if (!this.#rewrites(ssrc)) return;
    for (let at = 0; at + 8 <= compound.length; at += 4 + compound.readUInt16BE(at + 2) * 4) {
      const type = compound.readUInt8(at + 1);
      if (type < SR || type > APP || compound.readUInt32BE(at + 4) !== ssrc) continue;
      compound.writeUInt32BE(this.#sent!, at + 4);
      if (type === SR && at + SR_LENGTH <= compound.length)
        compound.writeUInt32BE((compound.readUInt32BE(at + 16) + this.#timestampOffset) >>> 0, at + 16);
    }
  }

  #rewrites(ssrc: number): boolean {
    return (
      this.#sent !== undefined &&
      (this.#seqOffset !== 0 || this.#timestampOffset !== 0 || this.#sent !== ssrc)
    );
  }
}
