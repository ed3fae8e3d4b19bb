// SPDX-License-Identifier: Apache-2.0
// One viewer in the TC engine: first from the picture cache, where the stream has one, then in the kernel's list.
import { readRtpHeader, type RtpHeader } from '../rtp/header.js';
import type { StreamSpec, ViewerCounters, ViewerHandle, ViewerSpec } from '../path/ports.js';
import { Limit } from './abi.gen.js';
import type { HopCommand } from './commands.js';
import { FrameWriter, packetLength } from './frame.js';
import type { Join } from './joins.js';
import { KernelError } from './kernel-error.js';
import type { CacheWindow } from './picture-cache.js';
import { destinationOf } from './next-hop.js';
import type { TcDatapath } from './tc.js';

/** What a viewer needs to know of its stream. */
export interface ViewerStream {
  readonly index: number;
  readonly spec: StreamSpec;
  readonly window: CacheWindow;
  /** How long a viewer is held back until a picture begins; 0 where nothing is known of the codec. */
  readonly holdMs: number;
  /** Called around the time that a viewer is served from the cache: meanwhile every packet must be kept. */
  joining(begins: boolean): void;
}

/** Steps, about a second, in which a viewer that joins has to come nearer to the live packets. */
const PATIENCE = 200;
/** Of an RTP header's second byte: the last packet of a picture (RFC 3550 5.1, RFC 6184 5.1). */
const MARKER = 0x80;
/** NET_XMIT_DROP; a device that is down or gone answers with a negative errno. */
const REFUSED = 1;
const NOTHING = {
  packets: 0,
  bytes: 0,
  rtcpPackets: 0,
  drops: 0,
  held: 0,
  thinned: 0,
  thinnedBytes: 0,
};

export class TcViewer implements ViewerHandle, Join {
  readonly servedBy = 'kernel';
  readonly first: ViewerHandle['first'];
  readonly #engine: TcDatapath;
  readonly #stream: ViewerStream;
  readonly #spec: ViewerSpec;
  readonly #gone: () => void;
  #frame: HopCommand;
  /** Of what comes from the cache; made when it is wanted. */
  #writer: FrameWriter | undefined;
  /** The next ticket to be sent from the cache; undefined when that is over. */
  #ticket: number | undefined;
  #fromCache = { packets: 0, bytes: 0, drops: 0 };
  #steps = 0;
  /** Packets behind the live ones when that was last looked at. */
  #behind = 0;
  /** It will not catch up: the picture that it has begun is its last from the cache. */
  #leaving = false;
  #allowance: number = Limit.TOP_LAYER;
  /** In the kernel's list; undefined before and after. */
  #slot: number | undefined;
  /** It went live in the middle of a picture. */
  #held = false;
  /** The last counters, once it has left. */
  #final: ViewerCounters | undefined;

  constructor(
    engine: TcDatapath,
    stream: ViewerStream,
    spec: ViewerSpec,
    frame: HopCommand,
    gone: () => void,
  ) {
    this.#engine = engine;
    this.#stream = stream;
    this.#spec = spec;
    this.#frame = frame;
    this.#gone = gone;
    this.#slot = engine.inheritance?.claimViewer(stream.index, spec.id);
    if (this.#slot !== undefined) {
      this.moveTo(frame);
      this.allow(Limit.TOP_LAYER); // what its policy was is not known any more
      return;
    }
    const begin = stream.window.size && !spec.goesOn ? this.#beginJoin() : undefined;
    this.first = begin && { seq: begin.sequence, timestamp: begin.timestamp };
    if (begin) engine.joins.begin(this);
    else this.#goLive();
  }

  /** As NextHops knows it. */
  get destination(): string {
    return destinationOf(this.#spec);
  }

  get heldBack(): boolean {
    return this.#held && !this.#final && this.counters().packets === 0;
  }

  counters(): ViewerCounters {
    if (this.#final) return this.#final;
    const live = this.#slot === undefined ? NOTHING : this.#engine.state.viewer(this.#slot);
    const { packets, bytes, drops } = this.#fromCache;
    return {
      packets: live.packets + packets,
      bytes: live.bytes + bytes,
      rtcpPackets: live.rtcpPackets,
      drops: live.drops + drops,
      held: live.held,
      thinned: live.thinned,
      thinnedBytes: live.thinnedBytes,
    };
  }

  loss(report: { fraction: number; cumulative: number; jitter: number }): void {
    if (this.#slot !== undefined) this.#engine.state.commands.loss(this.#slot, this.#spec.id, report);
  }

  /** While it is served from the cache it gets all of what is there: it is the beginning of one picture. */
  allow(layer: number): void {
    if (this.#final) return;
    this.#allowance = layer;
    if (this.#slot !== undefined) this.#engine.state.commands.allow(this.#slot, this.#spec.id, layer);
  }

  moveTo(frame: HopCommand): void {
    this.#frame = frame;
    this.#writer = undefined;
    if (this.#slot !== undefined) this.#engine.state.commands.nextHop(this.#slot, this.#spec.id, frame);
  }

  remove(): void {
    if (this.#final) return;
    this.#engine.joins.end(this);
    this.#endJoin();
    if (this.#slot !== undefined) this.#engine.state.commands.delete(this.#slot, this.#spec.id);
    this.#final = this.counters();
    this.#slot = undefined;
    this.#gone();
  }

  /** Sends from the cache up to the newest packet, then joins the live ones at exactly the next. */
  step(packets: number): boolean {
    try {
      for (let left = packets; left > 0 && this.#ticket !== undefined;)
        left -= this.#advance(this.#ticket) ?? left;
      if (this.#ticket !== undefined && ++this.#steps % PATIENCE === 0) this.#judge(this.#ticket);
    } catch (error) {
      this.#engine.log.error(
        { viewer: this.#spec.address, err: error },
        'a viewer could not join the live packets',
      );
      this.#endJoin();
    }
    return this.#ticket === undefined;
  }

  /** One ticket on. Returns how many packets that sent; undefined: no further in this step. */
  #advance(ticket: number): number | undefined {
    if (ticket === this.#engine.state.tickets(this.#stream.index).next) {
      if (this.#goLive(ticket)) this.#endJoin();
      return 0; // or a packet came at that moment: it is in the cache
    }
    this.#writer ??= this.#makeWriter();
    const cached = this.#engine.state.cache.copy(this.#stream.window, ticket, this.#writer.payload);
    if (cached === 'pending') return undefined;
    if (cached === 'overwritten') {
      this.#skip();
      return undefined;
    }
    if (cached !== 'nothing' && !this.#send(this.#writer, cached)) return undefined; // the same again, later
    this.#ticket = (ticket + 1) >>> 0;
    if (cached === 'nothing') return 0;
    if (this.#leaving && this.#writer.payload[1]! & MARKER) this.#skip();
    return 1;
  }

  /** A device that takes less than comes, or a source that is faster than we: it would stay behind, and be in everybody's way. */
  #judge(ticket: number): void {
    const behind = (this.#engine.state.tickets(this.#stream.index).next - ticket) | 0;
    if (this.#leaving)
      this.#skip(); // a picture without an end
    else this.#leaving = behind >= this.#behind;
    this.#behind = behind;
  }

  /** Goes on with the live packets when the next picture begins. */
  #skip(): void {
    this.#goLive();
    this.#endJoin();
  }

  /** Where the cache lets a viewer begin. From now on every packet is kept, whoever else leaves. */
  #beginJoin(): RtpHeader | undefined {
    this.#stream.joining(true);
    const { state } = this.#engine;
    const { begin, next } = state.tickets(this.#stream.index);
    const cached = begin === undefined ? undefined : state.cache.read(this.#stream.window, begin);
    const header = cached?.is === 'packet' ? readRtpHeader(cached.bytes) : undefined;
    if (header) {
      this.#ticket = begin;
      this.#behind = (next - begin!) | 0;
    } else this.#stream.joining(false);
    return header;
  }

  #endJoin(): void {
    if (this.#ticket === undefined) return;
    this.#ticket = undefined;
    this.#stream.joining(false);
  }

  /** False: the device's queue took nothing. */
  #send(writer: FrameWriter, payload: number): boolean {
    if (packetLength(this.#spec.address, payload) > this.#frame.mtu) return this.#drop('too-big');
    const answer = this.#engine.sender.run(writer.write(payload), this.#frame.ifindex);
    if (answer === REFUSED) return false;
    if (answer < 0) return this.#drop('egress-error');
    this.#fromCache.packets++;
    this.#fromCache.bytes += payload;
    return true;
  }

  #makeWriter(): FrameWriter {
    const { localAddress: source, address, rtpPort: port, multicast } = this.#spec;
    const { rtpPort: sourcePort } = multicast?.pair ?? this.#stream.spec.downstream;
    const { frame } = this.#engine.sender;
    return new FrameWriter(frame, {
      hop: this.#frame,
      source,
      sourcePort,
      address,
      port,
      ttl: multicast?.ttl,
    });
  }

  #drop(reason: string): true {
    this.#fromCache.drops++;
    this.#engine.countDrop(reason);
    return true;
  }

  /** Enters the kernel's list: from that ticket on, where one is given, else from now on and held back until a picture
   * begins. False: packets have come since `from`. */
  #goLive(from?: number): boolean {
    const { index, spec } = this.#stream;
    const pair = this.#spec.multicast?.pair ?? spec.downstream;
    const { rtpPort, rtcpPort } = this.#spec;
    const holdMs = from === undefined && !this.#spec.goesOn ? this.#stream.holdMs : 0;
    try {
      this.#slot = this.#engine.state.commands.add(index, {
        id: this.#spec.id,
        source: this.#spec.localAddress,
        sourcePorts: { rtp: pair.rtpPort, rtcp: rtcpPort === rtpPort ? pair.rtpPort : pair.rtcpPort },
        address: this.#spec.address,
        ports: { rtp: rtpPort, rtcp: rtcpPort },
        hop: this.#frame,
        ttl: this.#spec.multicast?.ttl,
        holdMs,
        from,
        verbatim: this.#spec.rewrite === false,
      });
      this.#held = holdMs > 0;
      if (this.#allowance < Limit.TOP_LAYER) this.allow(this.#allowance);
      return true;
    } catch (error) {
      if (error instanceof KernelError && error.code === 'EAGAIN') return false;
      throw error;
    }
  }
}
