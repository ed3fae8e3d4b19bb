// SPDX-License-Identifier: Apache-2.0
// One stream in the user-space engine: what comes to its upstream ports, checked, counted and forwarded.
import type {
  Endpoint,
  Reception,
  StreamCounters,
  StreamHandle,
  StreamLayers,
  StreamSpec,
  ViewerHandle,
  ViewerSpec,
} from '../path/ports.js';
import { RTCP_SR } from '../rtcp/packet.js';
import { Continuity } from '../rtp/continuity.js';
import { readRtpHeader, type RtpHeader } from '../rtp/header.js';
import { countLayer, noRates, rollRates } from '../rtp/layer-rates.js';
import { SourceReception } from '../state/reception.js';
import { SenderReports } from './sender-reports.js';
import { UserspaceFanout, type CopyDrop } from './userspace-fanout.js';
import type { StreamPictures } from './userspace-pictures.js';

/** Names of `enum fanout_drop`: whole packets, then copies. */
export type UserspaceDrop = 'not-source' | 'malformed' | 'no-viewer' | 'before-picture' | CopyDrop;

/** Header and SSRC: no RTCP packet that means anything is shorter. */
const RTCP_LEAST = 8;

export interface UserspaceStreamParts {
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly monotonicNs: () => bigint;
  readonly pictures: StreamPictures;
  readonly onDrop: (reason: UserspaceDrop) => void;
  readonly onClose: () => void;
}

export class UserspaceStream implements StreamHandle {
  #spec: StreamSpec;
  readonly #parts: UserspaceStreamParts;
  readonly #fanout: UserspaceFanout;
  #reception: SourceReception;
  readonly #continuity: Continuity;
  /** `due`: the next packet is the first of another source; `done`: there has been one. */
  #retarget: 'never' | 'due' | 'done' = 'never';
  /** Of another source nothing counts before the beginning of a picture, or this time. */
  #beginByNs: bigint | undefined;
  readonly #senderReports = new SenderReports();
  #packets = 0;
  #bytes = 0;
  #rtcpPackets = 0;
  readonly #rates = noRates();
  #closed = false;

  constructor(spec: StreamSpec, parts: UserspaceStreamParts) {
    this.#spec = spec;
    this.#parts = parts;
    this.#fanout = new UserspaceFanout(spec.downstream, parts.onDrop, parts.pictures);
    this.#reception = new SourceReception(spec.clockRate);
    this.#continuity = new Continuity(spec.clockRate);
    this.#listen(spec);
  }

  get viewers(): number {
    return this.#fanout.viewers;
  }

  get outstanding(): number {
    return this.#fanout.outstanding;
  }

  /** Rejects when the stream has ended, or the id is here already. */
  async add(viewer: ViewerSpec): Promise<ViewerHandle> {
    if (this.#closed) throw new Error('the stream has ended');
    return this.#fanout.add(viewer);
  }

  /** Nothing is refused whole here: the socket's receive buffer is the entrance, and its loss shows in reception(). */
  counters(): StreamCounters {
    return { packets: this.#packets, bytes: this.#bytes, rtcpPackets: this.#rtcpPackets, refused: 0 };
  }

  layers(): StreamLayers {
    rollRates(this.#rates, this.#parts.monotonicNs());
    const { notion } = this.#fanout;
    return { notion: notion === 'none' ? undefined : notion, averages: this.#rates.averages.map(Number) };
  }

  reception(): Reception | undefined {
    if (this.#closed) return undefined;
    const received = this.#reception.read();
    const { sent } = this.#continuity;
    return received && sent && this.#retarget !== 'never' ? { ...received, sent } : received;
  }

  retarget(spec: StreamSpec, { fromPicture = false } = {}): void {
    if (this.#closed) return;
    this.#beginByNs = fromPicture ? this.#parts.pictures.holdUntilNs() : undefined;
    this.#spec = spec;
    this.#retarget = 'due';
    this.#fanout.forgetPicture();
    this.#listen(spec);
  }

  senderReportSentNs(ntpMiddle: number): bigint | undefined {
    return this.#closed ? undefined : this.#senderReports.sentNs(ntpMiddle);
  }

  /** The sockets are the caller's; their handlers do nothing from now on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#fanout.close();
    this.#parts.onClose();
  }

  #onRtp(packet: Buffer, from: Endpoint): void {
    if (this.#closed) return;
    const { onDrop, monotonicNs } = this.#parts;
    if (!this.#isSource(from, this.#spec.source.rtpPort)) return onDrop('not-source');
    const header = readRtpHeader(packet);
    if (!header) return onDrop('malformed');
    this.#packets++;
    this.#bytes += packet.length;
    if (this.#isTooEarly(packet)) return onDrop('before-picture');
    this.#receive(header, monotonicNs());
    this.#continuity.rewriteRtp(packet, this.#reception.read()!.ssrc);
    const layer = this.#fanout.place(packet, readRtpHeader(packet)!);
    countLayer(this.#rates, layer.layer, packet.length, monotonicNs());
    if (this.#fanout.viewers === 0) onDrop('no-viewer'); // kept, for whoever comes next
    this.#fanout.forwardRtp(packet, layer);
  }

  /** Without viewers it is no drop: the control plane has it from the same socket. */
  #onRtcp(packet: Buffer, from: Endpoint): void {
    if (this.#closed) return;
    const { onDrop, monotonicNs } = this.#parts;
    if (!this.#isSource(from, this.#spec.source.rtcpPort)) return onDrop('not-source');
    if (packet.length < RTCP_LEAST || packet.readUInt8(0) >> 6 !== 2) return onDrop('malformed');
    this.#rtcpPackets++;
    const ssrc = this.#reception.read()?.ssrc;
    // What its time is to viewers is not known before the first packet; by the former source's offsets it would be wrong.
    if (this.#retarget === 'due' && ssrc !== undefined && packet.readUInt8(1) === RTCP_SR)
      return onDrop('before-picture');
    this.#senderReports.note(packet, monotonicNs());
    if (ssrc !== undefined) this.#continuity.rewriteRtcp(packet, ssrc);
    this.#fanout.forwardRtcp(packet);
  }

  /** Who else hears the pair hears it later, and so sees what viewers see, as with the kernel engines. */
  #listen(spec: StreamSpec): void {
    spec.upstream.onRtp((packet, from) => {
      if (this.#spec === spec) this.#onRtp(packet, from);
    });
    spec.upstream.onRtcp((packet, from) => {
      if (this.#spec === spec) this.#onRtcp(packet, from);
    });
  }

  #receive(header: RtpHeader, nowNs: bigint): void {
    const last = this.#reception.read();
    const isFirst = this.#retarget === 'due';
    if (isFirst) {
      this.#reception = new SourceReception(this.#spec.clockRate);
      this.#retarget = 'done';
    }
    this.#reception.update(header, nowNs);
    const { ssrc } = this.#reception.read()!;
    if (this.#retarget === 'never') return this.#continuity.follow(ssrc);
    if (last && (isFirst || ssrc !== last.ssrc)) this.#continuity.goOn(last, header, nowNs);
    this.#continuity.begin(ssrc);
  }

  #isTooEarly(packet: Buffer): boolean {
    const { pictures } = this.#parts;
    if (this.#beginByNs === undefined) return false;
    if (!pictures.begins(packet) && pictures.nowNs() < this.#beginByNs) return true;
    this.#beginByNs = undefined;
    return false;
  }

  /** A stranger must not reach every viewer. Port 0: any port of the source's address. */
  #isSource(from: Endpoint, port: number): boolean {
    return from.address === this.#spec.source.address && (port === 0 || from.port === port);
  }
}
