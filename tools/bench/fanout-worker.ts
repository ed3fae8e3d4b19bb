// SPDX-License-Identifier: Apache-2.0
// One engine with its streams, in a process of its own inside the proxy's network namespace. Told what to do on standard
// input (protocol.ts), ends with it. Usage: node fanout-worker.js ENGINE OBJECTS-FOLDER
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { bindUdpPair } from '../../src/control/net/udp-pair.js';
import type { Log, StreamHandle, ViewerHandle } from '../../src/control/path/ports.js';
import { PortPairs } from '../../src/control/state/port-pairs.js';
import { type AnyEngine, openEngine } from './engines.js';
import { type Asked, type Crowd, type Operation, type Told, viewerAt } from './protocol.js';

const CLOCK_RATE = 90_000;
const NAME = 8554;

const say = (level: string) => (fields: object, message: string) =>
  void process.stderr.write(`${level}: ${message} ${JSON.stringify(fields)}\n`);
const log: Log = { debug: () => {}, info: say('info'), warn: say('warn'), error: say('error') };

const [engine = '', objects = ''] = process.argv.slice(2);
const datapath = await openEngine(engine as AnyEngine, { port: NAME, objects, log });
const pairs = new PortPairs();
const viewers: ViewerHandle[] = [];
const streams: StreamHandle[] = [];
let viewersLocal = '';
let lastId = 0;

async function join(crowd: Crowd, i: number): Promise<ViewerHandle> {
  const { address, rtpPort } = viewerAt(crowd, i);
  const spec = { id: ++lastId, localAddress: viewersLocal, address, rtpPort, rtcpPort: rtpPort + 1 };
  const viewer = await streams[i % streams.length]!.add(spec);
  const by = engine === 'userspace' ? 'userspace' : 'kernel';
  if (viewer.servedBy !== by) throw new Error(`viewer ${address} is served by ${viewer.servedBy}`);
  return viewer;
}

/** Milliseconds of each run, one after the other. */
async function timed(times: number, run: (i: number) => unknown, pauseMs = 0): Promise<number[]> {
  const ms: number[] = [];
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await run(i);
    ms.push(performance.now() - start);
    if (pauseMs) await sleep(pauseMs);
  }
  return ms;
}

const operations: { [K in Operation]: (request: Asked<K>) => Promise<Told<K>> } = {
  async open({ source, sourcePort, local, streams: count, ...to }) {
    viewersLocal = to.viewersLocal;
    const rtpPorts: number[] = [];
    for (let i = 0; i < count; i++) {
      const upstream = await bindUdpPair(pairs);
      rtpPorts.push(upstream.rtpPort);
      streams.push(
        await datapath.open({
          name: `bench ${i}`,
          localAddress: local,
          source: { address: source, rtpPort: sourcePort, rtcpPort: sourcePort + 1 },
          upstream,
          downstream: await bindUdpPair(pairs),
          clockRate: CLOCK_RATE,
        }),
      );
    }
    return { rtpPorts };
  },

  async add({ crowd, count }) {
    for (let n = 0; n < count; n++) viewers.push(await join(crowd, viewers.length));
    return { viewers: viewers.length };
  },

  async counters() {
    // First: once it says that nothing is under way, whatever is read after it is final.
    const facts = datapath.facts();
    const each = viewers.map((viewer) => viewer.counters());
    const packets = each.map((counters) => counters.packets);
    return {
      stream: streams[0]!.counters(),
      drops: datapath.drops().filter(({ count }) => count > 0),
      facts,
      viewers: {
        least: packets.reduce((a, b) => Math.min(a, b), Infinity),
        most: packets.reduce((a, b) => Math.max(a, b), 0),
        packets: packets.reduce((a, b) => a + b, 0),
        drops: each.reduce((sum, { drops }) => sum + drops, 0),
      },
    };
  },

  async readAll({ times }) {
    return { ms: await timed(times, () => viewers.map((viewer) => viewer.counters())) };
  },

  async churn({ crowd, from, count, pauseMs }) {
    const guests: ViewerHandle[] = [];
    const joinMs = await timed(count, async (i) => guests.push(await join(crowd, from + i)), pauseMs);
    const leaveMs = await timed(count, (i) => guests[i]!.remove(), pauseMs);
    return { joinMs, leaveMs };
  },
};

async function answer<K extends Operation>(line: string): Promise<object> {
  const { seq, op, request } = JSON.parse(line) as { seq: number; op: K; request: Asked<K> };
  try {
    return { seq, told: await operations[op](request) };
  } catch (error) {
    return { seq, error: String(error) };
  }
}

process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
await datapath.close();
process.exit(0); // whatever sockets are still open
