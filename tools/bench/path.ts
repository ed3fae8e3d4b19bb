// SPDX-License-Identifier: Apache-2.0
// The path that is measured: source -> proxy -> viewers in network namespaces joined by veth pairs, GRO on at the
// receivers (so that they poll, as a NIC does), the viewers' link with a queue for each CPU (as a NIC has). One engine or program at a time stands in the proxy's.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from '../netns/child.js';
import { type Topology, createTopology } from '../netns/topology.js';
import { Counter, type Counted, wireTool } from '../wire/counter.js';
import type { AnyEngine } from './engines.js';
import { Fanout } from './fanout.js';
import { LINK_QUEUES } from './narrow-link.js';
import { OBJECTS, askLine, benchTool } from './programs.js';
import { type Crowd, viewerAt } from './protocol.js';

const SOURCE_PORT = 5000;
const VIEWER_PORTS = { first: 30_000, last: 39_999 };
/** The first that the engine's port allocator gives. */
const PROXY_PORT = 20_000;
/** Each stream has a pair towards the source and one towards viewers. */
const STREAM_STRIDE = 4;

export interface Traffic {
  readonly pps: number;
  readonly bytes: number;
  /** Packets back to back. */
  readonly burst: number;
  /** Of that rate each; one, unless said otherwise. */
  readonly streams?: number;
}

export interface Sent {
  readonly sent: number;
  readonly refused: number;
  readonly seconds: number;
  readonly latestMs: number;
}

/** Copies that have arrived, and when that was read (CLOCK_MONOTONIC). */
export interface Arrived {
  readonly copies: number;
  readonly ns: number;
}

/** With the viewers; before the proxy's device to them; in the viewers' driver, for frames that XDP made. */
export type SinkPlace = 'ingress' | 'egress' | 'driver';

export class Path {
  readonly crowd: Crowd;

  static async build(addresses: number): Promise<Path> {
    return new Path(await createTopology({ addresses, queues: LINK_QUEUES }));
  }

  private constructor(readonly topology: Topology) {
    this.crowd = { addresses: this.down.addresses, firstPort: VIEWER_PORTS.first };
  }

  get down() {
    return this.topology.downstream[0]!;
  }

  get viewers() {
    return this.topology.viewers[0]!;
  }

  /** The engine with so many viewers, of one stream or of several in turn. */
  async open(engine: AnyEngine, viewers: number, objects = OBJECTS, streams = 1): Promise<Fanout> {
    const { proxy, upstream } = this.topology;
    const fanout = await Fanout.start(proxy, engine, objects);
    const { rtpPorts } = await fanout.ask('open', {
      streams,
      source: upstream.server.address,
      sourcePort: SOURCE_PORT,
      local: upstream.proxy.address,
      viewersLocal: this.down.proxy.address,
    });
    if (rtpPorts.some((port, i) => port !== PROXY_PORT + STREAM_STRIDE * i))
      throw new Error(
        `the engine listens on ports ${rtpPorts}, not ${PROXY_PORT} and every ${STREAM_STRIDE} on`,
      );
    await fanout.ask('add', { crowd: this.crowd, count: viewers });
    return fanout;
  }

  /** The C program in the engine's place; it ends with stop(). */
  async openSockets(mode: 'sendto' | 'sendmmsg', viewers: number): Promise<Child> {
    const { proxy, upstream } = this.topology;
    const child = await proxy.spawn(benchTool('sendto'), [
      ...['--listen', `${upstream.proxy.address}:${PROXY_PORT}`, '--mode', mode],
    ]);
    for (let i = 0; i < viewers; i++) {
      const { address, rtpPort } = viewerAt(this.crowd, i);
      child.write(`${address}:${rtpPort}\n`);
    }
    void child.finish(86_400_000).catch(() => undefined); // closes its standard input: that was all
    await child.output(/^ready$/m);
    return child;
  }

  async startSource(traffic: Traffic, amount: readonly string[]): Promise<Child> {
    const { server, upstream } = this.topology;
    return server.spawn(wireTool('burst'), [
      ...['--to', `${upstream.proxy.address}:${PROXY_PORT}`],
      ...['--from', `${upstream.server.address}:${SOURCE_PORT}`],
      ...['--pps', `${traffic.pps}`, '--bytes', `${traffic.bytes}`, '--burst', `${traffic.burst}`],
      ...['--streams', `${traffic.streams ?? 1}`, '--stride', `${STREAM_STRIDE}`],
      ...amount,
    ]);
  }

  /** Sends for so long and waits for the end. `more`: words for the source. */
  async send(traffic: Traffic, seconds: number, more: readonly string[] = []): Promise<Sent> {
    const child = await this.startSource(traffic, ['--seconds', `${seconds}`, ...more]);
    const exit = await child.finish(3000 * seconds + 30_000);
    if (exit.code !== 0) throw new Error(child.describe());
    return JSON.parse(child.stdout) as Sent;
  }

  /** Counts each viewer's packets, lost, duplicated and reordered ones. */
  async count(): Promise<Counter> {
    return Counter.attach(this.viewers, 'eth0', `${VIEWER_PORTS.first}-${VIEWER_PORTS.last}`);
  }

  /** Throws copies away and counts them: as they arrive with the viewers, so that what they cost there is least; or sooner. */
  async sink(at: SinkPlace = 'ingress'): Promise<Sink> {
    const ports = `${VIEWER_PORTS.first}-${VIEWER_PORTS.last}`;
    const [where, device] =
      at === 'egress' ? [this.topology.proxy, this.down.proxy.device] : [this.viewers, 'eth0'];
    const child = await where.spawn(benchTool('sink'), [device, ports, at]);
    await child.output(/^ready$/m);
    return new Sink(child);
  }

  /** The kernel alone copies each packet so often with XDP and throws the copies away as they would leave: an engine and a sink in one. */
  async broadcast(copies: number): Promise<Sink> {
    const { proxy, upstream } = this.topology;
    const devices = [upstream.proxy.device, this.down.proxy.device];
    const child = await proxy.spawn(benchTool('broadcast'), [...devices, `${copies}`]);
    await child.output(/^ready$/m);
    return new Sink(child);
  }

  /** Notes when packets leave the source and when their first and last copies arrive. */
  async latency(viewers: number): Promise<Child> {
    const { server } = this.topology;
    const child = await this.viewers.spawn(benchTool('latency'), [
      ...['--source', `${server.name}:eth0:${PROXY_PORT}`],
      ...['--viewers', `${this.viewers.name}:eth0:${VIEWER_PORTS.first}-${VIEWER_PORTS.last}`],
      ...['--copies', `${viewers}`],
    ]);
    await child.output(/^ready$/m);
    return child;
  }

  async close(): Promise<void> {
    await this.topology.close();
  }
}

export class Sink {
  constructor(readonly child: Child) {}

  async read(): Promise<Arrived> {
    return askLine<Arrived>(this.child);
  }

  async close(): Promise<void> {
    await this.child.finish();
  }
}

/** The last reading, once what is under way has arrived. */
export async function finalCount(counter: Counter): Promise<Counted> {
  await sleep(200);
  return counter.detach();
}
