// SPDX-License-Identifier: Apache-2.0
// Multipath TCP over two links of 10 Mbit/s: an interleaved viewer, and a proxy whose source is another, get more than one
// of them could carry; either may go down for seconds without the end of the session.
import t from 'tap';
import { setTimeout as sleep } from 'node:timers/promises';
import { askLine } from '../../tools/bench/programs.js';
import type { Reading } from '../../tools/bench/tcp-readers.js';
import type { Child } from '../../tools/netns/child.js';
import { canNetns } from '../../tools/netns/probe.js';
import { createTopology, type Topology } from '../../tools/netns/topology.js';
import { until } from '../../tools/netns/wait.js';
import { canMeasure, wireTool } from '../../tools/wire/counter.js';
import { mptcpObstacle } from '../../src/control/net/mptcp.js';
import { compiled, Product } from './product.js';

t.setTimeout(120_000);

const skip = canNetns() ?? canMeasure() ?? mptcpObstacle() ?? false;
const MBITS = 10;
const WANTED_MBITS = 17;
const LEAST_MS = 4000;
const MEDIA_PORT = 5000;
/** The second link; the first is the topology's. */
const SECOND = {
  proxy: { device: 'down9', address: '10.99.0.1' },
  viewer: { device: 'eth9', address: '10.99.0.2' },
};

/** A second link between proxy and viewer, both narrow; the proxy tells viewers of its address there. */
async function narrowLinks({ proxy, viewers, downstream }: Topology): Promise<void> {
  const viewer = viewers[0]!;
  const { proxy: p, viewer: v } = SECOND;
  await proxy.run('ip', [
    ...['link', 'add', p.device, 'type', 'veth', 'peer', 'name', v.device, 'netns', viewer.name],
  ]);
  for (const [where, { device, address }] of [
    [proxy, p],
    [viewer, v],
  ] as const) {
    await where.run('ip', ['addr', 'add', `${address}/24`, 'dev', device]);
    await where.run('ip', ['link', 'set', device, 'up']);
    await where.run('ip', ['mptcp', 'limits', 'set', 'subflow', '2', 'add_addr_accepted', '2']);
  }
  for (const device of [downstream[0]!.proxy.device, p.device])
    await proxy.run('tc', [
      ...['qdisc', 'add', 'dev', device, 'root', 'tbf', 'rate', `${MBITS}mbit`],
      ...['burst', '16kb', 'latency', '100ms'],
    ]);
  await proxy.run('ip', ['mptcp', 'endpoint', 'add', p.address, 'dev', p.device, 'signal']);
}

interface Scene {
  readonly topology: Topology;
  readonly product: Product;
  readonly url: string;
  /** RTP for so long, of one track that nobody knows pictures of. */
  send(mbits: number, seconds: number): Promise<Child>;
}

async function scene(): Promise<Scene> {
  const topology = await createTopology();
  try {
    await narrowLinks(topology);
    const { server, proxy, upstream, downstream } = topology;
    const origin = await server.spawn(process.execPath, [
      ...[compiled('test/fixtures/origin.js'), upstream.server.address, '554', String(MEDIA_PORT)],
    ]);
    await origin.output(/"listening"/);
    const source = `rtsp://${upstream.server.address}`;
    const product = await Product.start({ engine: 'userspace', source, namespace: proxy, more: ['--mptcp'] });
    const send = async (mbits: number, seconds: number) => {
      const [, port] = await origin.output(/"media","rtpPort":(\d+)/);
      return server.spawn(wireTool('burst'), [
        ...[
          '--to',
          `${upstream.proxy.address}:${port}`,
          '--from',
          `${upstream.server.address}:${MEDIA_PORT}`,
        ],
        ...['--pps', `${mbits * 100}`, '--bytes', '1250', '--burst', '10', '--seconds', `${seconds}`],
      ]);
    };
    return { topology, product, url: product.url(downstream[0]!.proxy.address, '/load'), send };
  } catch (error) {
    await topology.close();
    throw error;
  }
}

function reader({ topology }: Scene, kind: 'mptcp' | 'rtsp', url: string): Promise<Child> {
  return topology.viewers[0]!.spawn(process.execPath, [
    compiled('tools/bench/tcp-readers.js'),
    kind,
    '1',
    url,
  ]);
}

/**
 * What has come on average since the flood began, as soon as that is enough, or of all: over seconds of its own what had waited
 * before might be counted.
 */
async function throughput({ send }: Scene, child: Child): Promise<number> {
  await askLine<Reading>(child);
  const from = performance.now();
  const flood = await send(2.5 * MBITS, 16);
  let [bytes, mbits] = [0, 0];
  while (flood.running && !(mbits > WANTED_MBITS && performance.now() - from > LEAST_MS)) {
    await sleep(500);
    bytes += (await askLine<Reading>(child)).bytes;
    mbits = (bytes * 8) / 1000 / (performance.now() - from);
  }
  await flood.stop('SIGTERM');
  return mbits;
}

t.test('a viewer by two links, either of which goes down', { skip }, async (t) => {
  const s = await scene();
  t.teardown(() => s.topology.close());
  const { topology, product } = s;
  const viewer = await reader(s, 'mptcp', s.url);
  await viewer.output(/playing/);
  const mbits = await throughput(s, viewer);
  t.ok(mbits > WANTED_MBITS, `${mbits.toFixed(1)} Mbit/s over two links of ${MBITS}`);
  t.match(await product.clients(), [{ id: 1, subflows: 2 }]);

  const stream = await s.send(4, 40);
  const grows = async (what: string) => {
    await askLine<Reading>(viewer); // what came before
    let bytes = 0;
    await until(what, async () => (bytes += (await askLine<Reading>(viewer)).bytes) > 500_000, 20_000);
  };
  for (const device of [topology.downstream[0]!.proxy.device, SECOND.proxy.device]) {
    await topology.proxy.run('ip', ['link', 'set', device, 'down']);
    await grows(`packets while ${device} is down`);
    await sleep(2000);
    await grows(`packets two seconds later`);
    await topology.proxy.run('ip', ['link', 'set', device, 'up']);
    await grows(`packets when ${device} is up again`);
  }
  t.match(await askLine<Reading>(viewer), { ended: 0 }, 'on the same connection');
  t.match(await product.clients(), [{ id: 1, state: 'playing' }], 'in the same session');
  await stream.stop('SIGTERM');
  await viewer.finish();
  await product.idle();
  await product.stop();
});

t.test('a proxy behind it, whose source comes by two links', { skip }, async (t) => {
  const s = await scene();
  t.teardown(() => s.topology.close());
  const behind = await Product.start({
    ...{
      engine: 'userspace',
      source: s.url.replace('/load', ''),
      namespace: s.topology.viewers[0]!,
      port: 8555,
    },
    more: ['--mptcp', '--source-transport', 'tcp'],
  });
  const viewer = await reader(s, 'rtsp', behind.url('127.0.0.1', '/load'));
  await viewer.output(/playing/);
  const mbits = await throughput(s, viewer);
  t.ok(mbits > WANTED_MBITS, `${mbits.toFixed(1)} Mbit/s over two links of ${MBITS}`);
  t.match(await behind.streams(), [{ subflows: 2 }]);
  t.match(await behind.clients(), [{ subflows: null }], 'whose viewer has come by plain TCP');
  await viewer.finish();
  await behind.idle();
  await behind.stop();
  await s.product.stop();
});
