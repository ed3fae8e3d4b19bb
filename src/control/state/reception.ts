// SPDX-License-Identifier: Apache-2.0
// What a receiver keeps of a source: sequence numbers with their wraps and restarts, and jitter (RFC 3550 A.1, A.8).
// Used where this process sees the packets itself; the kernel keeps the same of the others.
import type { Reception } from '../path/ports.js';
import type { RtpHeader } from '../rtp/header.js';

/** A jump forward of so many packets is loss; a larger one is a restart, if the next packet confirms it. */
export const MAX_DROPOUT = 3000;
/** Behind by less than this is late or a duplicate. */
export const MAX_MISORDER = 100;
/** So many packets of another SSRC, none of ours between, make it the source; fewer are strays, and not counted. */
export const OTHERS_TO_SWITCH = 8;
const SEQ_MOD = 2 ** 16;
/** No sequence number is ever this. */
const NO_SEQ = SEQ_MOD + 1;
const NS = 1_000_000_000n;

interface Source {
  readonly ssrc: number;
  baseSeq: number;
  maxSeq: number;
  /** Wraps of the sequence number, times 2^16. */
  cycles: number;
  badSeq: number;
  /** Packets of another SSRC since the last one of this. */
  others: number;
  received: number;
  /** Arrival minus RTP timestamp of the last packet, RTP timestamp units modulo 2^32. */
  transit: number;
  /** 16 times the estimate. */
  jitter: number;
  timestamp: number;
  arrivalNs: bigint;
}

export class SourceReception {
  readonly #clockRate: bigint;
  #source: Source | undefined;

  /** `clockRate` in RTP timestamp units per second; 0: unknown, no jitter is kept. */
  constructor(clockRate: number) {
    this.#clockRate = BigInt(clockRate);
  }

  /**
   * Takes one packet from the source. False: it is not counted, because its sequence number fits neither here nor a
   * restart, or its SSRC is another. There is no probation (A.1's MIN_SEQUENTIAL): that keeps strangers out, which the
   * check of the source's address has done already, and would keep the first packet from being counted.
   */
  update(packet: RtpHeader, arrivalNs: bigint): boolean {
    const { sequence, ssrc } = packet;
    const source = this.#source;
    if (!source || (source.ssrc !== ssrc && ++source.others >= OTHERS_TO_SWITCH)) {
      this.#source = this.#begin(packet, arrivalNs);
      return true;
    }
    if (source.ssrc !== ssrc) return false;
    source.others = 0;
    const ahead = (sequence - source.maxSeq + SEQ_MOD) % SEQ_MOD;
    if (ahead > 0 && ahead < MAX_DROPOUT) {
      if (sequence < source.maxSeq) source.cycles = (source.cycles + SEQ_MOD) % 2 ** 32;
      source.maxSeq = sequence;
      source.timestamp = packet.timestamp;
      source.arrivalNs = arrivalNs;
    } else if (ahead >= MAX_DROPOUT && ahead <= SEQ_MOD - MAX_MISORDER) {
      if (sequence !== source.badSeq) {
        source.badSeq = (sequence + 1) % SEQ_MOD;
        return false;
      }
      // Two in a row: the other side has restarted without telling. Its timestamps are new as well, so jitter too.
      this.#source = this.#begin(packet, arrivalNs);
      return true;
    } // else a duplicate or late: counted, as A.1 has it
    source.received = (source.received + 1) % 2 ** 32;
    const transit = this.#transit(packet, arrivalNs);
    source.jitter += Math.abs((transit - source.transit) | 0) - Math.floor((source.jitter + 8) / 16);
    source.transit = transit;
    return true;
  }

  read(): Reception | undefined {
    const source = this.#source;
    if (!source) return undefined;
    return {
      ssrc: source.ssrc,
      extendedMaxSeq: source.cycles + source.maxSeq,
      baseSeq: source.baseSeq,
      received: source.received,
      jitter: this.#clockRate === 0n ? 0 : Math.floor(source.jitter / 16),
      timestamp: source.timestamp,
      arrivalNs: source.arrivalNs,
    };
  }

  #begin(packet: RtpHeader, arrivalNs: bigint): Source {
    return {
      ssrc: packet.ssrc,
      baseSeq: packet.sequence,
      maxSeq: packet.sequence,
      cycles: 0,
      badSeq: NO_SEQ,
      others: 0,
      received: 1,
      transit: this.#transit(packet, arrivalNs),
      jitter: 0,
      timestamp: packet.timestamp,
      arrivalNs,
    };
  }

  #transit(packet: RtpHeader, arrivalNs: bigint): number {
    const arrival = Number(BigInt.asUintN(32, (arrivalNs * this.#clockRate) / NS));
    return (arrival - packet.timestamp) | 0;
  }
}
