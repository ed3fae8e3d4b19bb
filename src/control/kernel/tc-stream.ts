// SPDX-License-Identifier: Apache-2.0
// One stream in the TC engine, and its viewers.
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
import { readRtpHeader } from '../rtp/header.js';
import { ChurnSet } from '../state/churn.js';
import { Codec } from './abi.gen.js';
import { codecOf } from './codec.js';
import type { HopCommand, SourceCommand } from './commands.js';
import type { CacheWindow } from './picture-cache.js';
import { destinationOf } from './next-hop.js';
import { Seam } from './seam.js';
import type { TcDatapath } from './tc.js';
import { TcViewer, type ViewerStream } from './tc-viewer.js';
import { UnseenPackets } from './unseen-packets.js';
import { UserspaceFanout } from './userspace-fanout.js';

export class TcStream implements StreamHandle {
  readonly #engine: TcDatapath;
  #spec: StreamSpec;
  readonly #index: number;
  readonly #window: CacheWindow;
  readonly #viewerStream: ViewerStream;
  readonly #viewers = new ChurnSet<TcViewer>();
  /** Viewers that are being served from the picture cache. */
  #joins = 0;
  readonly #gone: () => void;
  /** Viewers that the kernel cannot serve, interleaved ones among them; it passes the stream up for them. */
  readonly #fallback: UserspaceFanout;
  readonly #seam: Seam;
  readonly #unseen: UnseenPackets;
  #saidUnseen = false;
  #closed = false;

  constructor(engine: TcDatapath, spec: StreamSpec, gone: () => void) {
    this.#engine = engine;
    this.#spec = spec;
    this.#gone = gone;
    const wanted = sourceCommand(spec);
    const knows = wanted.codec !== Codec.OTHER;
    const inherited = engine.inheritance?.claimStream(wanted);
    this.#window = inherited?.window ?? engine.state.cache.lend(knows ? engine.cachePackets : 0);
    this.#index = inherited?.index ?? engine.state.commands.open({ ...wanted, cache: this.#window });
    if (inherited) this.#forgetFormer();
    this.#viewerStream = {
      index: this.#index,
      spec,
      window: this.#window,
      holdMs: knows ? engine.holdMs : 0,
      joining: (begins) => this.#countJoins(begins),
    };
    this.#fallback = new UserspaceFanout(
      spec.downstream,
      (reason) => engine.countDrop(reason),
      engine.openPictures(spec.encoding),
    );
    this.#seam = new Seam({
      tickets: () => engine.state.tickets(this.#index),
      read: (ticket) => engine.state.cache.read(this.#window, ticket),
    });
    this.#unseen = new UnseenPackets(() => this.counters().packets);
    this.#listen(spec);
  }

  get userspaceViewers(): number {
    return this.#fallback.viewers;
  }

  async add(viewer: ViewerSpec): Promise<ViewerHandle> {
    const { hops } = this.#engine;
    if (viewer.interleaved) return this.#addFallback(viewer, () => {});
    const to = destinationOf(viewer);
    const frame = this.#engine.frame(await hops.watch(to));
    try {
      if (this.#closed) throw new Error('the stream has ended');
      if (typeof frame === 'string') {
        this.#engine.log.warn(
          { viewer: viewer.address, why: frame },
          'this viewer is served from user space',
        );
        return this.#addFallback(viewer, () => hops.unwatch(to));
      }
      const made: TcViewer = new TcViewer(this.#engine, this.#viewerStream, viewer, frame, () => {
        this.#viewers.delete(made);
        hops.unwatch(to);
      });
      this.#viewers.add(made);
      return made;
    } catch (error) {
      hops.unwatch(to);
      throw error;
    }
  }

  /** By destination. Every viewer is gone through, once: thousands change together. */
  hopsChanged(frames: ReadonlyMap<string, HopCommand>): void {
    for (const viewer of this.#viewers) {
      const frame = frames.get(viewer.destination);
      if (frame) viewer.moveTo(frame);
    }
  }

  counters(): StreamCounters {
    return this.#engine.state.stream(this.#index);
  }

  layers(): StreamLayers {
    return this.#engine.state.layers(this.#index);
  }

  reception(): Reception | undefined {
    return this.#closed ? undefined : this.#engine.state.reception(this.#index);
  }

  retarget(spec: StreamSpec, { fromPicture = false } = {}): void {
    if (this.#closed) return;
    const beginWithinMs = fromPicture ? this.#viewerStream.holdMs : 0;
    this.#engine.state.commands.retarget(this.#index, sourceCommand(spec), beginWithinMs);
    this.#spec = spec;
    this.#fallback.forgetSource();
    this.#saidUnseen = false;
    this.#listen(spec);
    void this.#expect(spec);
  }

  senderReportSentNs(ntpMiddle: number): bigint | undefined {
    return this.#closed ? undefined : this.#engine.state.senderReportSentNs(this.#index, ntpMiddle);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const viewer of [...this.#viewers]) viewer.remove();
    this.#fallback.close();
    this.#engine.state.commands.close(this.#index);
    this.#engine.state.cache.giveBack(this.#window);
    this.#gone();
  }

  /** Whoever was served from user space before is added anew. */
  #forgetFormer(): void {
    this.#engine.state.commands.passUp(this.#index, false);
    this.#engine.state.commands.joining(this.#index, false);
  }

  #countJoins(begins: boolean): void {
    const before = this.#joins;
    this.#joins += begins ? 1 : -1;
    if ((before === 0) !== (this.#joins === 0))
      this.#engine.state.commands.joining(this.#index, this.#joins > 0);
  }

  /** The ports of a former source are no longer heard, though they may still be open. */
  #listen(spec: StreamSpec): void {
    spec.upstream.onRtp((packet, from) => {
      if (this.#spec === spec) this.#cameUp(packet, from);
    });
    spec.upstream.onRtcp((packet, from) => {
      if (this.#spec === spec && this.#isSource(from, spec.source.rtcpPort))
        this.#fallback.forwardRtcp(packet);
    });
  }

  /** RTP on the socket: the kernel passed it up for viewers that it cannot serve, or never saw it. */
  #cameUp(packet: Buffer, from: Endpoint): void {
    if (this.#closed || !this.#isSource(from, this.#spec.source.rtpPort)) return;
    if (this.#unseen.cameUp()) void this.#lookForSource();
    if (this.#fallback.viewers === 0) return;
    const header = readRtpHeader(packet);
    if (!header) return this.#engine.countDrop('malformed');
    for (const next of this.#seam.take(packet, header.sequence))
      this.#fallback.forwardRtp(next, this.#fallback.place(next, readRtpHeader(next)!));
  }

  /** Another source's packets may come in elsewhere. Viewers that only the kernel serves get nothing of what it cannot take. */
  async #expect(spec: StreamSpec): Promise<void> {
    const why = await this.#engine.sources.expect(spec).catch((error: Error) => error.message);
    if (why !== undefined && !this.#closed)
      this.#engine.log.warn({ stream: spec.name, why }, 'the kernel engine cannot take this source');
  }

  async #lookForSource(): Promise<void> {
    const stream = this.#spec.name;
    const devices = await this.#engine.sources.watchAll();
    if (devices?.length)
      this.#engine.log.warn(
        { stream, devices },
        'RTP comes in over another device than the route to its source: watching all devices',
      );
    else if (devices && !this.#saidUnseen) {
      this.#saidUnseen = true;
      this.#engine.log.warn(
        { stream },
        'RTP comes in where the kernel engine does not see it: in fragments, or over a device without Ethernet frames',
      );
    }
  }

  #isSource(from: Endpoint, port: number): boolean {
    return from.address === this.#spec.source.address && (port === 0 || from.port === port);
  }

  #addFallback(viewer: ViewerSpec, gone: () => void): ViewerHandle {
    if (this.#closed) throw new Error('the stream has ended');
    if (this.#fallback.viewers === 0) this.#passUp(true);
    try {
      return this.#fallback.add(viewer, () => {
        gone();
        if (!this.#closed && this.#fallback.viewers === 0) this.#passUp(false);
      });
    } catch (error) {
      if (this.#fallback.viewers === 0) this.#passUp(false);
      throw error;
    }
  }

  /** With the first viewer that is served from here what the kernel has kept is taken over, and it goes on keeping: viewers
   * that the kernel serves may come meanwhile. */
  #passUp(on: boolean): void {
    this.#engine.state.commands.passUp(this.#index, on);
    if (!on) this.#fallback.forgetPicture(); // what comes from now on is not seen here
    if (this.#window.size === 0) return;
    this.#countJoins(on);
    if (on) this.#fallback.prime(this.#seam.begin());
  }
}

function sourceCommand(spec: StreamSpec): SourceCommand {
  return {
    source: spec.source.address,
    sourcePorts: { rtp: spec.source.rtpPort, rtcp: spec.source.rtcpPort },
    local: spec.localAddress,
    localPorts: { rtp: spec.upstream.rtpPort, rtcp: spec.upstream.rtcpPort },
    clockRate: spec.clockRate,
    codec: codecOf(spec.encoding),
    payloadType: spec.encoding?.payloadType ?? 0,
    descriptorId: spec.encoding?.descriptorId,
  };
}
