// SPDX-License-Identifier: Apache-2.0
// A stream's viewers served by this process, one send per copy. The user-space engine is made of it, and the kernel
// engines use it for the viewers that the kernel cannot reach, or that have their packets interleaved. It owns no socket.
import type { Endpoint, ViewerHandle, ViewerSpec } from '../path/ports.js';
import { readRtpHeader, type RtpHeader } from '../rtp/header.js';
import type { Notion } from '../rtp/layer.js';
import type { PacketLayer } from '../rtp/layering.js';
import { InterleavedFanout, isInterleaved } from './interleaved-fanout.js';
import { ThinnedCopies } from './thinned-copies.js';
import { UserspacePictures, type StreamPictures } from './userspace-pictures.js';
import { UserspaceViewer, type Beginning } from './userspace-viewer.js';

/** `sent` is called once per datagram, when it was handed to the system or refused. */
export type Send = (
  packet: Buffer,
  to: Endpoint,
  sent: (error: NodeJS.ErrnoException | null) => void,
) => void;

/** What is used of a UdpPair. */
export interface Senders {
  sendRtp: Send;
  sendRtcp: Send;
}

/** Why a copy was not sent: names of `enum fanout_drop`. */
export type CopyDrop = 'egress-refused' | 'egress-error' | 'too-big' | 'out-of-sequence';

/**
 * Sends that may wait for room in the socket, per stream, besides one packet to every viewer. dgram queues without
 * limit when the socket is full; what would wait longer than this is too late to be of use.
 */
export const BACKLOG = 1024;

export class UserspaceFanout {
  readonly #senders: Senders;
  readonly #onDrop: (reason: CopyDrop) => void;
  readonly #pictures: StreamPictures;
  readonly #interleaved: InterleavedFanout;
  /** Replaced, never changed: who leaves while a packet is served does not shift the others. */
  #viewers: readonly UserspaceViewer[] = [];
  /** Index of the viewer to be served first by the next RTP packet. */
  #first = 0;
  #outstanding = 0;
  /** Of the numbering: another one with each SSRC that viewers see. */
  #epoch = 0;

  /**
   * `onDrop` hears of every copy that was not sent; the viewer's own counter has it as well. `pictures` is closed with
   * this; without it viewers begin with whatever comes.
   */
  constructor(
    senders: Senders,
    onDrop: (reason: CopyDrop) => void = () => {},
    pictures: StreamPictures = new UserspacePictures().open(undefined),
  ) {
    this.#senders = senders;
    this.#onDrop = onDrop;
    this.#pictures = pictures;
    this.#interleaved = new InterleavedFanout(pictures, (packets) => {
      for (let i = 0; i < packets; i++) onDrop('egress-refused');
    });
  }

  get viewers(): number {
    return this.#viewers.length + this.#interleaved.viewers;
  }

  /** What came before this process saw the stream, oldest first: viewers may begin with it. */
  prime(packets: readonly Buffer[]): void {
    for (const packet of packets) this.#pictures.cache.keep(packet, this.#pictures.begins(packet));
  }

  /** Sends whose outcome is not known yet. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /**
   * From the last beginning of a picture that is kept, or else the next, every packet goes to it once. `gone` is called
   * when it is removed. Throws on an id twice.
   */
  add(spec: ViewerSpec, gone: () => void = () => {}): ViewerHandle {
    if (this.#interleaved.has(spec.id) || this.#viewers.some(({ id }) => id === spec.id))
      throw new Error(`viewer ${spec.id} is here already`);
    const beginning = spec.goesOn ? {} : this.#beginning();
    if (isInterleaved(spec)) return this.#interleaved.add(spec, beginning, gone);
    const { joins } = this.#pictures;
    const join = { step: (packets: number) => this.#catchUp(viewer, packets) };
    const left = () => {
      joins.end(join);
      this.#drop(viewer);
      gone();
    };
    const viewer = new UserspaceViewer(spec, left, beginning);
    this.#viewers = [...this.#viewers, viewer];
    if (viewer.next !== undefined) joins.begin(join);
    return viewer;
  }

  #beginning(): Beginning {
    const { cache, holdUntilNs } = this.#pictures;
    const packet = cache.begin === undefined ? undefined : cache.read(cache.begin);
    const header = packet && readRtpHeader(packet);
    if (!header) return { holdUntilNs: holdUntilNs() };
    return { first: { seq: header.sequence, timestamp: header.timestamp }, next: cache.begin };
  }

  /** Sends from the cache; true when the viewer has all that is there, and goes on with the next live packet. */
  #catchUp(viewer: UserspaceViewer, packets: number): boolean {
    const { cache, holdUntilNs } = this.#pictures;
    for (let left = packets; viewer.next !== undefined && !viewer.removed; left--) {
      if (viewer.next === cache.next) {
        viewer.next = undefined;
        break;
      }
      if (left === 0 || this.#full) return false; // the same again, later
      const packet = cache.read(viewer.next);
      if (!packet) {
        viewer.goLive(holdUntilNs()); // too slow for this stream: go on when the next picture begins
        break;
      }
      viewer.next++;
      this.#sendRtp(viewer, packet);
    }
    return true;
  }

  /** The packet's layer; each packet is to be shown here once, in the order of arrival. */
  place(packet: Buffer, header: RtpHeader): PacketLayer {
    const layer = this.#pictures.layering.place(packet, header);
    if (!layer.foreign && layer.epoch !== this.#epoch) {
      this.#epoch = layer.epoch;
      this.#countAnew();
    }
    return layer;
  }

  /** What the layers of the stream are, as far as packets have told. */
  get notion(): Notion {
    return this.#pictures.layering.notion;
  }

  /**
   * Sends to every viewer, beginning with the one after the one that was first last time. `layer` as place() has told; without
   * it nobody is thinned.
   */
  forwardRtp(packet: Buffer, layer?: PacketLayer): void {
    const { cache, nowNs } = this.#pictures;
    const begins = this.#pictures.begins(packet);
    cache.keep(packet, begins);
    const copies = layer && new ThinnedCopies(packet, layer, this.#pictures.encoding);
    this.#interleaved.forwardRtp(packet, begins, layer);
    const viewers = this.#viewers;
    const first = this.#first;
    if (viewers.length > 0) this.#first = (first + 1) % viewers.length;
    for (let i = 0; i < viewers.length; i++) {
      const viewer = viewers[(first + i) % viewers.length]!;
      if (!viewer.takes(begins, nowNs)) continue;
      if (!copies || viewer.thinning.isPlain) this.#sendRtp(viewer, packet);
      else this.#sendThinned(viewer, copies, packet.length);
    }
  }

  #sendRtp(viewer: UserspaceViewer, packet: Buffer): void {
    this.#send(viewer, packet, (senders, sent) => senders.sendRtp(packet, viewer.rtp, sent));
  }

  #sendThinned(viewer: UserspaceViewer, copies: ThinnedCopies, bytes: number): void {
    const copy = copies.for(viewer.thinning);
    if (copy.is === 'unknown') return this.#refused(viewer, 'out-of-sequence');
    if (copy.is === 'sent') return this.#sendRtp(viewer, copy.packet);
    viewer.thinned.add(bytes, copies.layer.octets, copy.end !== undefined);
    if (copy.end) this.#sendRtp(viewer, copy.end);
  }

  /** In the order of service, which only RTP moves on. */
  forwardRtcp(packet: Buffer): void {
    this.#interleaved.forwardRtcp(packet);
    const viewers = this.#viewers;
    const first = this.#first;
    for (let i = 0; i < viewers.length; i++) {
      const viewer = viewers[(first + i) % viewers.length]!;
      const report = viewer.thinned.report(packet);
      this.#send(viewer, undefined, (senders, sent) =>
        viewer.muxed
          ? senders.sendRtp(report, viewer.rtcp, sent)
          : senders.sendRtcp(report, viewer.rtcp, sent),
      );
    }
  }

  /** What comes now does not go on from what is kept. */
  forgetPicture(): void {
    this.#pictures.cache.forget();
    this.forgetSource();
  }

  /** Another source's packets come now: their layers may mean something else, and its reports count anew. */
  forgetSource(): void {
    this.#pictures.layering.forgetSource();
    this.#countAnew();
  }

  /** Reports do so with another source, and with another SSRC of the same (RFC 3550 6.4.1). */
  #countAnew(): void {
    for (const { thinned } of this.#viewers) thinned.countAnew();
    this.#interleaved.countAnew();
  }

  /** Removes all viewers. */
  close(): void {
    const viewers = this.#viewers;
    this.#viewers = []; // at once: one by one would be quadratic
    this.#first = 0;
    for (const viewer of viewers) viewer.remove();
    this.#interleaved.close();
    this.#pictures.cache.forget();
    this.#pictures.close();
  }

  get #full(): boolean {
    return this.#outstanding >= this.#viewers.length + BACKLOG;
  }

  /** `rtp` is the packet where it is RTP, to be counted. */
  #send(
    viewer: UserspaceViewer,
    rtp: Buffer | undefined,
    send: (senders: Senders, sent: Parameters<Send>[2]) => void,
  ): void {
    if (viewer.removed) return;
    if (this.#full) return this.#refused(viewer, 'egress-refused');
    this.#outstanding++;
    send(viewer.senders ?? this.#senders, (error) => {
      this.#outstanding--;
      if (error) this.#refused(viewer, dropOf(error));
      else viewer.countSent(rtp);
    });
  }

  #refused(viewer: UserspaceViewer, reason: CopyDrop): void {
    viewer.countDrop();
    this.#onDrop(reason);
  }

  #drop(viewer: UserspaceViewer): void {
    const index = this.#viewers.indexOf(viewer);
    if (index < 0) return;
    this.#viewers = this.#viewers.filter((other) => other !== viewer);
    if (index < this.#first) this.#first--;
    if (this.#first >= this.#viewers.length) this.#first = 0;
  }
}

function dropOf(error: NodeJS.ErrnoException): CopyDrop {
  switch (error.code) {
    case 'EMSGSIZE':
      return 'too-big';
    case 'ENOBUFS':
    case 'ENOMEM':
    case 'EAGAIN':
      return 'egress-refused';
    default: // ENETUNREACH, ENETDOWN, EPERM of a firewall, ECANCELED of a socket that was closed
      return 'egress-error';
  }
}
