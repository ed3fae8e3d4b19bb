// SPDX-License-Identifier: Apache-2.0
// Where everything of the suite is played: origin, relay and viewers in network namespaces joined by veth pairs, GRO on at the receivers
// (so that they poll, as a NIC does), a queue for each CPU on the viewers' link. One relay at a time stands in the proxy's place.
import { mkdirSync } from 'node:fs';
import { temporaryFolder } from '../../netns/temporary-folder.js';
import type { Child } from '../../netns/child.js';
import { createTopology, type Topology } from '../../netns/topology.js';
import { LINK_QUEUES } from '../narrow-link.js';
import { compiled } from '../programs.js';
import { PORT, type Relay, type RunningRelay } from './relays/relay.js';

/** What the origin plays: RTP packets of one size at one rate. */
export interface Stream {
  readonly packetsPerSecond: number;
  /** RTP header included. */
  readonly bytes: number;
  /** Packets back to back, at the same mean rate. */
  readonly burst: number;
}

/** The thesis's test stream: about 1 Mbit/s. */
export const THESIS: Stream = { packetsPerSecond: 271, bytes: 466, burst: 1 };
/** As cameras send: 5 Mbit/s. */
export const CAMERA: Stream = { packetsPerSecond: 521, bytes: 1200, burst: 1 };

const ORIGIN_PORT = 554;

export class Stage {
  readonly #topology: Topology;
  #origin: Child | undefined;
  #paused = false;
  #started = 0;

  /** `addresses` are the viewers', shared by them in turn. */
  static async build(addresses: number): Promise<Stage> {
    return new Stage(await createTopology({ addresses, queues: LINK_QUEUES }));
  }

  private constructor(topology: Topology) {
    this.#topology = topology;
  }

  get topology(): Topology {
    return this.#topology;
  }

  /** Those of the viewers. */
  get addresses(): readonly string[] {
    return this.#topology.downstream[0]!.addresses;
  }

  get viewers() {
    return this.#topology.viewers[0]!;
  }

  get source(): string {
    return `rtsp://${this.#topology.upstream.server.address}:${ORIGIN_PORT}/camera`;
  }

  /** Plays `stream` to whoever asks, in the place of what it played before. */
  async play({ packetsPerSecond, bytes, burst }: Stream): Promise<void> {
    await this.#origin?.stop();
    this.#paused = false;
    this.#origin = await this.#topology.server.spawn(process.execPath, [
      ...[compiled('tools/camera/main.js'), '--json'],
      ...['--listen', `${this.#topology.upstream.server.address}:${ORIGIN_PORT}`, '--path', '/camera'],
      ...['--packets', `${packetsPerSecond}`, '--bytes', `${bytes}`, '--burst', `${burst}`],
    ]);
    await this.#origin.output(/"listening"/);
  }

  /** What is played stops. */
  pause(): void {
    if (!this.#paused) this.#origin!.signal('SIGUSR2');
    this.#paused = true;
  }

  /** As it would be by now, numbered on without a gap. */
  goOn(): void {
    if (this.#paused) this.#origin!.signal('SIGUSR2');
    this.#paused = false;
  }

  /** The relay in the proxy's place; stop its child before the next. */
  async start(relay: Relay): Promise<RunningRelay> {
    const { proxy, downstream } = this.#topology;
    const folder = temporaryFolder();
    mkdirSync(folder, { recursive: true });
    const address = downstream[0]!.proxy.address;
    const port = PORT + this.#started++;
    return relay.start({ namespace: proxy, address, port, source: this.source, folder });
  }

  async close(): Promise<void> {
    await this.#topology.close();
  }
}

/** Ends it however it ends: some do not on a signal. */
export async function stopRelay({ child }: RunningRelay): Promise<void> {
  await child.stop('SIGTERM', 5000).catch(() => undefined);
}
