// SPDX-License-Identifier: Apache-2.0
// RTCP between us and the source of one track: its sender reports and BYE in, our receiver reports out every five
// seconds or so (RFC 3550 6.2, 6.3: servers drop receivers that say nothing).

import { buildExtendedReport, buildReceiverReport } from '../rtcp/build.js';
import { parseCompound } from '../rtcp/compound.js';
import type { ExtendedReport } from '../rtcp/extended.js';
import { ntpMiddle } from '../rtcp/ntp.js';
import type { Deadline } from '../state/deadlines.js';
import { reportBlock, type LastSenderReport } from '../state/report-block.js';
import { nowMs, type Context } from './context.js';
import { referenceTime, roundTripOf } from './extended-report.js';
import type { Endpoint, Reception, StreamHandle, UdpPair } from './ports.js';

export interface SourceEndpoint {
  readonly address: string;
  /** 0: not told in SETUP; then wherever the source's own RTCP comes from. */
  readonly rtcpPort: number;
  /** Where our reports go instead: the multicast group that it sends to. */
  readonly reportTo?: Endpoint;
}

export interface ReportOptions {
  /** Ours, where a former process has reported under it already. */
  readonly ssrc?: number | undefined;
  /** The source answers reference times (RFC 3611 4.4), which tells the round trip. */
  readonly measures: boolean;
}

export class SourceReports {
  readonly #context: Context;
  readonly #pair: UdpPair;
  readonly #source: SourceEndpoint;
  readonly #stream: StreamHandle;
  readonly #measures: boolean;
  #roundTripMs: number | undefined;
  #ssrc: number;
  #rtcpPort: number;
  #lastSr: LastSenderReport | undefined;
  #previous: Reception | undefined;
  #next: Deadline;
  #heardMs: number;
  #byeAtMs: number | undefined;

  constructor(
    context: Context,
    pair: UdpPair,
    source: SourceEndpoint,
    stream: StreamHandle,
    { ssrc = context.random(4).readUInt32BE(), measures }: ReportOptions,
  ) {
    this.#measures = measures;
    this.#context = context;
    this.#pair = pair;
    this.#source = source;
    this.#stream = stream;
    this.#rtcpPort = source.rtcpPort;
    this.#ssrc = ssrc;
    this.#previous = stream.reception();
    this.#heardMs = nowMs(context.clock);
    this.#next = this.#schedule();
    pair.onRtcp((packet, from) => this.#receive(packet, from));
  }

  /** When RTCP came from the source, monotonic milliseconds; the track's opening until then. */
  get heardMs(): number {
    return this.#heardMs;
  }

  /** When the source said that it ends what it sends; undefined when it has not, or has gone on since. */
  get byeAtMs(): number | undefined {
    return this.#byeAtMs;
  }

  /** Between us and the source, milliseconds; undefined: it does not tell. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** The source begins anew. */
  forgetBye(): void {
    this.#byeAtMs = undefined;
  }

  /** Under which we report. */
  get ssrc(): number {
    return this.#ssrc;
  }

  close(): void {
    this.#next.cancel();
  }

  /** Half to one and a half times the mean, so that the reports of many tracks do not fall together (RFC 3550 6.3.1). */
  #schedule(): Deadline {
    const { deadlines, limits, random } = this.#context;
    const factor = 0.5 + random(4).readUInt32BE() / 2 ** 32;
    return deadlines.in(limits.reportMs * factor, () => {
      this.#send();
      this.#next = this.#schedule();
    });
  }

  #send(): void {
    const to = this.#source.reportTo ?? { address: this.#source.address, port: this.#rtcpPort };
    if (to.port === 0) return;
    const now = this.#stream.reception();
    if (now?.ssrc === this.#ssrc) this.#ssrc = (this.#ssrc + 1) >>> 0; // a collision (RFC 3550 8.2)
    const nowNs = this.#context.clock.monotonicNs();
    const blocks = now ? [reportBlock(this.#previous, now, this.#lastSr, nowNs)] : [];
    this.#previous = now;
    const report = buildReceiverReport(this.#ssrc, this.#context.cname, blocks);
    const extended = this.#measures ? [buildExtendedReport(this.#ssrc, referenceTime(nowNs))] : [];
    this.#pair.sendRtcp(Buffer.concat([report, ...extended]), to);
  }

  /** The datapath has sent it on to the viewers already; here only what concerns ourselves is read. */
  #receive(packet: Buffer, from: Endpoint): void {
    const { refused, clock } = this.#context;
    const { address, rtcpPort } = this.#source;
    if (from.address !== address || (rtcpPort !== 0 && from.port !== rtcpPort)) {
      refused.add('source-rtcp-from-stranger');
      return;
    }
    const compound = parseCompound(packet);
    if (!compound.ok) {
      refused.add(`source-rtcp-${compound.reason}`);
      return;
    }
    const arrivalNs = clock.monotonicNs();
    this.#heardMs = nowMs(clock);
    this.#rtcpPort = from.port;
    for (const part of compound.packets) {
      if (part.kind === 'sr') {
        this.#lastSr = { ssrc: part.ssrc, ntpMiddle: ntpMiddle(part.ntp), arrivalNs };
        this.#byeAtMs = undefined;
      } else if (part.kind === 'bye' && this.#isOurs(part.ssrcs)) this.#byeAtMs = this.#heardMs;
      else if (part.kind === 'xr') this.#readExtended(part, arrivalNs);
    }
  }

  #readExtended({ blocks }: ExtendedReport, arrivalNs: bigint): void {
    for (const block of blocks)
      if (block.kind === 'reference-answers')
        this.#roundTripMs = roundTripOf(block.answers, this.#ssrc, arrivalNs) ?? this.#roundTripMs;
  }

  /** A BYE of another participant ends nothing. */
  #isOurs(ssrcs: readonly number[]): boolean {
    const received = this.#stream.reception();
    if (!received) return true;
    return (
      ssrcs.includes(received.ssrc) || (received.sent !== undefined && ssrcs.includes(received.sent.ssrc))
    );
  }
}
