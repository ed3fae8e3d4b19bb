// SPDX-License-Identifier: Apache-2.0
// One stream in the TC engine, and its viewers.
import type {
  Endpoint,
  Reception,
  StreamCounters,
  StreamHandle,
  StreamSpec,
  ViewerCounters,
  ViewerHandle,
  ViewerSpec,
} from '../path/ports.js';
import type { HopCommand } from './commands.js';
import type { TcDatapath } from './tc.js';
import { UserspaceFanout } from './userspace-fanout.js';

export class TcStream implements StreamHandle {
  readonly #engine: TcDatapath;
  readonly #spec: StreamSpec;
  readonly #index: number;
  readonly #viewers = new Set<TcViewer>();
  readonly #gone: () => void;
  /** Viewers that the kernel cannot serve; it passes the stream up for them. */
  readonly #fallback: UserspaceFanout;
  #closed = false;

  constructor(engine: TcDatapath, spec: StreamSpec, gone: () => void) {
    this.#engine = engine;
    this.#spec = spec;
    this.#gone = gone;
    this.#index = engine.state.commands.open({
      source: spec.source.address,
      sourcePorts: { rtp: spec.source.rtpPort, rtcp: spec.source.rtcpPort },
      local: spec.localAddress,
      localPorts: { rtp: spec.upstream.rtpPort, rtcp: spec.upstream.rtcpPort },
      clockRate: spec.clockRate,
    });
    this.#fallback = new UserspaceFanout(spec.downstream, (reason) => engine.fallbackDrops.add(reason));
    spec.upstream.onRtp((packet, from) => this.#cameUp(packet, from));
    spec.upstream.onRtcp((packet, from) => {
      if (this.#isSource(from, spec.source.rtcpPort)) this.#fallback.forwardRtcp(packet);
    });
  }

  get userspaceViewers(): number {
    return this.#fallback.viewers;
  }

  async add(viewer: ViewerSpec): Promise<ViewerHandle> {
    const { hops } = this.#engine;
    const frame = this.#engine.frame(await hops.watch(viewer.address));
    try {
      if (this.#closed) throw new Error('the stream has ended');
      if (typeof frame === 'string') return this.#addFallback(viewer, frame);
      const made = new TcViewer(this.#engine, this.#index, this.#spec, viewer, frame, () => {
        this.#viewers.delete(made);
        hops.unwatch(viewer.address);
      });
      this.#viewers.add(made);
      return made;
    } catch (error) {
      hops.unwatch(viewer.address);
      throw error;
    }
  }

  hopChanged(address: string, frame: HopCommand): void {
    for (const viewer of this.#viewers) if (viewer.address === address) viewer.moveTo(frame);
  }

  counters(): StreamCounters {
    return this.#engine.state.stream(this.#index);
  }

  reception(): Reception | undefined {
    return this.#closed ? undefined : this.#engine.state.reception(this.#index);
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
    this.#gone();
  }

  /** RTP on the socket: the kernel passed it up for viewers that it cannot serve, or never saw it. */
  #cameUp(packet: Buffer, from: Endpoint): void {
    if (this.#closed || !this.#isSource(from, this.#spec.source.rtpPort)) return;
    if (this.#fallback.viewers > 0) this.#fallback.forwardRtp(packet);
    else void this.#engine.watchAllDevices(this.#spec.name);
  }

  #isSource(from: Endpoint, port: number): boolean {
    return from.address === this.#spec.source.address && (port === 0 || from.port === port);
  }

  #addFallback(viewer: ViewerSpec, why: string): ViewerHandle {
    this.#engine.log.warn({ viewer: viewer.address, why }, 'this viewer is served from user space');
    this.#engine.state.commands.passUp(this.#index, true);
    return this.#fallback.add(viewer, () => {
      this.#engine.hops.unwatch(viewer.address);
      if (!this.#closed && this.#fallback.viewers === 0)
        this.#engine.state.commands.passUp(this.#index, false);
    });
  }
}

class TcViewer implements ViewerHandle {
  readonly servedBy = 'kernel';
  readonly address: string;
  readonly #engine: TcDatapath;
  readonly #id: number;
  readonly #slot: number;
  readonly #gone: () => void;
  /** The last counters, once the slot is somebody else's. */
  #final: ViewerCounters | undefined;

  constructor(
    engine: TcDatapath,
    stream: number,
    spec: StreamSpec,
    viewer: ViewerSpec,
    frame: HopCommand,
    gone: () => void,
  ) {
    this.#engine = engine;
    this.#id = viewer.id;
    this.#gone = gone;
    this.address = viewer.address;
    this.#slot = engine.state.commands.add(stream, {
      id: viewer.id,
      source: viewer.localAddress,
      sourcePorts: { rtp: spec.downstream.rtpPort, rtcp: spec.downstream.rtcpPort },
      address: viewer.address,
      ports: { rtp: viewer.rtpPort, rtcp: viewer.rtcpPort },
      hop: frame,
    });
  }

  counters(): ViewerCounters {
    return this.#final ?? this.#engine.state.viewer(this.#slot);
  }

  loss(report: { fraction: number; cumulative: number; jitter: number }): void {
    if (!this.#final) this.#engine.state.commands.loss(this.#slot, this.#id, report);
  }

  moveTo(frame: HopCommand): void {
    if (!this.#final) this.#engine.state.commands.nextHop(this.#slot, this.#id, frame);
  }

  remove(): void {
    if (this.#final) return;
    this.#engine.state.commands.delete(this.#slot, this.#id);
    this.#final = this.#engine.state.viewer(this.#slot);
    this.#gone();
  }
}
