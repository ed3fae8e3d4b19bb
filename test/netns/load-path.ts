// SPDX-License-Identifier: Apache-2.0
// The path that load tests share: a scripted origin, the proxy, many real RTSP viewers, and at their device the program
// that counts. The media leaves the server only when the test sends it.
import { type Child } from '../../tools/netns/child.js';
import { type Topology, type TopologyOptions, createTopology } from '../../tools/netns/topology.js';
import { until } from '../../tools/netns/wait.js';
import { Counter, wireTool } from '../../tools/wire/counter.js';
import { Product, compiled } from './product.js';

const MEDIA_PORT = 5000;
const FIRST_PORT = 20_000;
const LAST_PORT = 29_999;

export interface Joined {
  readonly joined: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly joinMs: { readonly p50: number; readonly p99: number; readonly max: number } | null;
}

export interface Sent {
  readonly sent: number;
  readonly refused: number;
  readonly seconds: number;
  /** How late the latest burst left, milliseconds. */
  readonly latestMs: number;
}

export interface LoadPathOptions extends TopologyOptions {
  /** Called before anything runs in the topology. */
  readonly prepare?: (topology: Topology) => Promise<void>;
  /** Where the viewers' packets arrive (default eth0). */
  readonly viewerDevice?: string;
}

export class LoadPath {
  static async build({
    prepare,
    viewerDevice = 'eth0',
    ...options
  }: LoadPathOptions = {}): Promise<LoadPath> {
    const topology = await createTopology(options);
    try {
      await prepare?.(topology);
      const { server, proxy, viewers, upstream } = topology;
      const args = [compiled('test/fixtures/origin.js'), upstream.server.address, '554', String(MEDIA_PORT)];
      const origin = await server.spawn(process.execPath, args);
      await origin.output(/"listening"/);
      const source = `rtsp://${upstream.server.address}`;
      const product = await Product.start({ engine: 'tc', source, namespace: proxy });
      const counter = await Counter.attach(viewers[0]!, viewerDevice, `${FIRST_PORT}-${LAST_PORT}`);
      return new LoadPath(topology, origin, product, counter);
    } catch (error) {
      await topology.close();
      throw error;
    }
  }

  private constructor(
    readonly topology: Topology,
    readonly origin: Child,
    readonly product: Product,
    readonly counter: Counter,
  ) {}

  /** Real RTSP viewers; resolves when all play. Ends with `leave`. */
  async join(
    viewers: number,
    rate: number,
    path = '/load',
    ports = `${FIRST_PORT}-${LAST_PORT}`,
  ): Promise<{ crowd: Child; result: Joined }> {
    const { proxy, addresses } = this.topology.downstream[0]!;
    const crowd = await this.topology.viewers[0]!.spawn(process.execPath, [
      ...[compiled('tools/load/rtsp-load.js'), this.product.url(proxy.address, path)],
      ...['--viewers', String(viewers), '--rate', String(rate), '--from', addresses.join(',')],
      ...['--ports', ports],
    ]);
    const [line] = await crowd.output(/^\{.*\}$/m, 30_000 + (viewers / rate) * 1000);
    return { crowd, result: JSON.parse(line) as Joined };
  }

  /** One RTCP sender report from the source's RTCP port. */
  sendSenderReport(): void {
    this.origin.write('\n');
  }

  /** All TEARDOWN, then nothing may be left. */
  async leave(crowd: Child): Promise<Joined> {
    await crowd.finish(20_000);
    await this.product.idle();
    return JSON.parse(crowd.stdout.trim().split('\n').at(-1)!) as Joined;
  }

  /** Where the origin was told to send to: the newest SETUP. */
  async mediaPort(): Promise<number> {
    return until(
      'a SETUP at the origin',
      () => Number([...this.origin.stdout.matchAll(/"media","rtpPort":(\d+)/g)].at(-1)?.[1]) || undefined,
    );
  }

  /** Sends from the origin's negotiated port (or another) to the proxy's. */
  async send(args: readonly string[], from = MEDIA_PORT, to?: number): Promise<Sent> {
    const target = `${this.topology.upstream.proxy.address}:${to ?? (await this.mediaPort())}`;
    const { server, upstream } = this.topology;
    const burst = await server.spawn(wireTool('burst'), [
      ...['--to', target, '--from', `${upstream.server.address}:${from}`, ...args],
    ]);
    await burst.finish(120_000);
    return JSON.parse(burst.stdout) as Sent;
  }

  async close(): Promise<void> {
    await this.topology.close();
  }
}
