// SPDX-License-Identifier: Apache-2.0
// One track of one viewer: where its copies go, whether it gets any, and what it reported.

import { frameOf } from '../rtsp/interleaved.js';
import { nowMs, type Context } from './context.js';
import type { Extended } from './extended-report.js';
import type { Group } from './group.js';
import type { Interleaved, ViewerCounters, ViewerHandle, ViewerLink, ViewerSpec } from './ports.js';
import type { ViewerTrackRecord } from './records.js';
import type { Session } from './session.js';
import type { Track } from './track.js';
import { ViewerLayers } from './viewer-layers.js';

/** A receiver report's block about our source, and what we made of it. */
export interface ViewerLoss {
  /** 1/256. */
  readonly fraction: number;
  /** Signed. */
  readonly cumulative: number;
  /** RTP timestamp units. */
  readonly jitter: number;
  readonly roundTripMs: number | undefined;
  readonly atMs: number;
}

const NOTHING: ViewerCounters = { packets: 0, bytes: 0, rtcpPackets: 0, drops: 0 };

/** An RTP packet, as viewers see it. */
export interface LastSent {
  readonly ssrc: number;
  readonly seq: number;
  readonly timestamp: number;
}

/** Where a viewer's copies go. */
export interface Delivery {
  /** Its own ports, or the group's, or the channels of `link`. */
  readonly ports: readonly [rtp: number, rtcp: number];
  /** Entered already; the viewer leaves it. */
  readonly group?: Group | undefined;
  /** Its packets are interleaved with the answers on this connection (RFC 2326 10.12). */
  readonly link?: ViewerLink | undefined;
}

/** A viewer that is too slow, and recovers, and is too slow again, is told in the log at most this often. */
const SLOW_LOG_MS = 10_000;

export class ViewerTrack {
  readonly session: Session;
  #track: Track;
  /** The control URL as the viewer names it: what its RTP-Info must say. */
  readonly url: string;
  readonly ports: Delivery['ports'];
  /** Served by multicast. */
  readonly group: Group | undefined;
  /** Served interleaved, on that connection. */
  readonly link: ViewerLink | undefined;
  /** The SSRC that it reports as, where it takes that to tell it from others. */
  reporter: number | undefined;
  loss: ViewerLoss | undefined;
  readonly layers: ViewerLayers;
  extended: Extended | undefined;
  /** When its reference time was answered last, monotonic milliseconds. */
  answeredMs: number | undefined;
  readonly #context: Context;
  #adding: Promise<void> | undefined;
  #handle: ViewerHandle | undefined;
  #before = NOTHING; // sent before the last pause
  #closed = false;
  #left = false;
  /** When copies last ended. */
  #last: LastSent | undefined;
  #slowLoggedMs: number | undefined;
  #id: number | undefined;
  /** Its number in the datapath while a former process served it, until it is started again. */
  #formerId: number | undefined;

  /** Claims the ports, of which the caller has made sure that they are free; close() gives them back. */
  constructor(
    context: Context,
    session: Session,
    track: Track,
    url: string,
    { ports, group, link }: Delivery,
    former?: Pick<ViewerTrackRecord, 'id' | 'before'>,
  ) {
    this.#context = context;
    this.session = session;
    this.#track = track;
    this.url = url;
    this.ports = ports;
    this.group = group;
    this.link = link;
    this.layers = new ViewerLayers(context, this);
    if (former) this.#before = former.before;
    this.#formerId = former?.id ?? undefined;
    track.viewers.add(this);
    group?.members.add(this);
    const isOurs = link
      ? context.channels.claim(link, ports, this)
      : group || context.destinations.claim(session.address, ports, this);
    if (!isOurs) throw new Error('client ports taken');
  }

  /** RTP and RTCP go to one port, and its reports come to our port for RTP (RFC 5761). */
  get muxed(): boolean {
    return this.ports[0] === this.ports[1];
  }

  get track(): Track {
    return this.#track;
  }

  /** What the viewer has got last, or would have got: by this its stream goes on, wherever it comes from. */
  get lastSent(): LastSent | undefined {
    return this.#handle ? sentNow(this.#track) : (this.#last ?? sentNow(this.#track));
  }

  /** To the same m= section of another resource. It gets no copies. */
  moveTo(track: Track): void {
    this.#last = this.lastSent;
    this.#track.viewers.delete(this);
    this.#track = track;
    track.viewers.add(this);
  }

  get wasServed(): boolean {
    return this.#formerId !== undefined;
  }

  get record(): ViewerTrackRecord {
    const id = (this.#handle ? this.#id : this.#formerId) ?? null;
    return { control: this.track.media.control, url: this.url, ports: this.ports, id, before: this.#before };
  }

  get servedBy(): ViewerHandle['servedBy'] | undefined {
    return this.#handle?.servedBy;
  }

  /** The first packet that it gets since start(), where that is known beforehand. */
  get first(): ViewerHandle['first'] {
    return this.#handle?.first;
  }

  /** Nothing is sent to it yet, and nothing is until a picture begins. */
  get heldBack(): boolean {
    return this.#handle?.heldBack ?? false;
  }

  /** Packets have been withheld from it, or may be, because no picture has begun. */
  get missesStart(): boolean {
    return this.heldBack || (this.#handle?.counters().held ?? 0) > 0;
  }

  /** Since the first start(), pauses included. */
  get counters(): ViewerCounters {
    return this.#handle ? sum(this.#before, this.#handle.counters()) : this.#before;
  }

  /** Since the last start(); undefined: it gets no copies. */
  get sending(): ViewerCounters | undefined {
    return this.#handle?.counters();
  }

  /** Resolves when the viewer gets copies. Rejects with what the datapath says. */
  start(): Promise<void> {
    if (this.#closed || this.#handle) return Promise.resolve();
    this.#left = false;
    this.#adding ??= this.#add().finally(() => {
      this.#adding = undefined;
    });
    return this.#adding;
  }

  async #add(): Promise<void> {
    const { layerRewrite: rewrite } = this.session.resource.route.config;
    const isFirst = this.#formerId === undefined && this.#before.packets === 0;
    const handle = await (this.group ? this.group.play() : this.#playAlone(rewrite));
    if (this.#closed) handle.remove();
    else {
      this.#handle = handle;
      this.layers.begin(handle, rewrite, isFirst);
    }
  }

  #playAlone(rewrite: boolean): Promise<ViewerHandle> {
    const { session, ports } = this;
    // Of a session of its own it gets what the source sends, from wherever it has asked for.
    const goesOn = this.#formerId !== undefined || session.resource.recording?.own === true;
    this.#id = this.#formerId ?? this.#context.nextViewerId();
    this.#formerId = undefined;
    const spec: ViewerSpec = {
      id: this.#id,
      localAddress: session.localAddress,
      address: session.address,
      rtpPort: ports[0],
      rtcpPort: ports[1],
      ...(goesOn && { goesOn }),
      rewrite,
      ...(this.link && { interleaved: this.#interleaved(this.link) }),
    };
    return this.track.stream.add(spec);
  }

  #interleaved(sink: ViewerLink): Interleaved {
    const { interleavedBytes: queueBytes } = this.#context.limits;
    return { sink, queueBytes, dropping: (begins) => this.#isSlow(begins) };
  }

  #isSlow(begins: boolean): void {
    const { refused, log, clock } = this.#context;
    const { number: viewer, address, port } = this.session;
    const now = nowMs(clock);
    if (begins) {
      refused.add('viewer-too-slow');
      if (this.#slowLoggedMs !== undefined && now - this.#slowLoggedMs < SLOW_LOG_MS) return;
      this.#slowLoggedMs = now;
      log.warn({ viewer, address, port }, 'the viewer is too slow: pictures are left out');
    } else log.debug({ viewer, address, port }, 'the viewer is sent pictures again');
  }

  /** When this has returned, the viewer gets no further copy. A start() under way must have been awaited. */
  stop(): void {
    if (!this.#handle) return;
    this.#last = sentNow(this.#track);
    this.layers.end();
    this.#handle.remove();
    const sent = this.#handle.counters();
    this.#before = sum(this.#before, sent);
    this.#context.sent.ended(this.session.resource, sent);
    this.#handle = undefined;
  }

  /** It has said that it wants no more of this track. With the last one its session ends. */
  leave(why: string): void {
    this.stop();
    this.#left = true;
    if ([...this.session.tracks.values()].every((track) => track.#left)) this.session.close(why);
    else this.session.note();
  }

  report(loss: ViewerLoss): void {
    this.loss = loss;
    const { fraction, cumulative, jitter } = loss;
    this.#handle?.loss({ fraction, cumulative, jitter });
    this.layers.reported(loss);
  }

  close(): void {
    if (this.#closed) return;
    this.stop();
    this.#closed = true;
    this.track.viewers.delete(this);
    const { group, link } = this;
    if (link) this.#context.channels.release(link, this.ports);
    else if (!group) this.#context.destinations.release(this.session.address, this.ports);
    else {
      group.members.delete(this);
      this.track.groups.leave(group);
    }
  }

  /** RTCP in the source's name. It gets no copies any more. */
  sayGoodbye(packet: Buffer): void {
    if (this.group) this.group.sayGoodbye(packet);
    else this.sendRtcp(packet);
  }

  /** To it alone: nothing where it is served by multicast, or too slow for what waits already. */
  sendRtcp(packet: Buffer): void {
    const { link, group, track, session } = this;
    const to = { address: session.address, port: this.ports[1] };
    if (link) {
      if (link.queued <= this.#context.limits.interleavedBytes) link.send(frameOf(to.port, packet));
    } else if (this.muxed) track.downstream.sendRtp(packet, to);
    else if (!group) track.downstream.sendRtcp(packet, to);
  }
}

function sum(a: ViewerCounters, b: ViewerCounters): ViewerCounters {
  return {
    packets: a.packets + b.packets,
    bytes: a.bytes + b.bytes,
    rtcpPackets: a.rtcpPackets + b.rtcpPackets,
    drops: a.drops + b.drops,
    pictures: (a.pictures ?? 0) + (b.pictures ?? 0),
    thinned: (a.thinned ?? 0) + (b.thinned ?? 0),
    thinnedBytes: (a.thinnedBytes ?? 0) + (b.thinnedBytes ?? 0),
  };
}

function sentNow({ stream }: Track): LastSent | undefined {
  const received = stream.reception();
  if (!received) return undefined;
  const { ssrc, seqOffset, timestampOffset } = received.sent ?? {
    ...{ ssrc: received.ssrc, seqOffset: 0, timestampOffset: 0 },
  };
  return {
    ssrc,
    seq: (received.extendedMaxSeq + seqOffset) & 0xffff,
    timestamp: (received.timestamp + timestampOffset) >>> 0,
  };
}
