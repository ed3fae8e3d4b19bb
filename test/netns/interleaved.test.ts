// SPDX-License-Identifier: Apache-2.0
// Players with their packets on the RTSP connection, beside players over UDP on the same stream, through both engines: each
// decoded frame is the source's. The kernel passes RTP up only while one of the former is there.
import t, { type Test } from 'tap';
import { canNetns, canRun } from '../../tools/netns/probe.js';
import { createTopology, type Namespace } from '../../tools/netns/topology.js';
import { until } from '../../tools/netns/wait.js';
import { GstServer, canServe } from './gst-server.js';
import {
  difference,
  ffmpeg,
  frameHashes,
  gstreamer,
  makeClip,
  type Delivery,
  type Player,
} from './players.js';
import { Product, freePort, temporaryFolder } from './product.js';

t.setTimeout(280_000);

const FRAMES = 75;
const SECONDS = 14;
const peers = canRun('ffmpeg', ['-version']) ?? canRun('gst-launch-1.0', ['--version']) ?? canServe();
const CAST: readonly [name: string, Delivery][] = [
  ['ffmpeg', 'unicast'],
  ['ffmpeg', 'interleaved'],
  ['GStreamer', 'interleaved'],
  ['GStreamer', 'unicast'],
];

let clip: Promise<{ file: string; hashes: string[] }> | undefined;
function theClip() {
  clip ??= makeClip(temporaryFolder(), SECONDS).then(async (file) => ({
    file,
    hashes: await frameHashes(file),
  }));
  return clip;
}

/** The UDP player begins alone; the others join what runs already. */
async function watch(
  t: Test,
  product: Product,
  where: (Namespace | undefined)[],
  url: (i: number) => string,
): Promise<void> {
  const { hashes } = await theClip();
  const start = ([name, delivery]: (typeof CAST)[number], i: number): Promise<Player> =>
    (name === 'ffmpeg' ? ffmpeg : gstreamer)(where[i], url(i), FRAMES, delivery);
  const first = await start(CAST[0]!, 0);
  await until('the first to play', async () => (await product.clients())[0]?.state === 'playing', 10_000);
  const players = [first, ...(await Promise.all(CAST.slice(1).map((who, i) => start(who, i + 1))))];
  const together = await until('all to play', async () => {
    const clients = await product.clients();
    return clients.length === CAST.length && clients.every(({ tracks }) => tracks[0]?.packets) && clients;
  }).catch((error: Error) => error);
  const results = await Promise.allSettled(players.map((player) => player.frames()));
  for (const [i, result] of results.entries()) {
    const name = CAST[i]!.join(' ');
    if (result.status === 'rejected') t.fail(`${name}: ${(result.reason as Error).message}`);
    else
      t.equal(difference(result.value, hashes, FRAMES - 30), undefined, `${name} shows the source's frames`);
  }
  if (together instanceof Error) throw together;
  const { engine } = await product.status();
  const kernel = engine === 'userspace' ? 'userspace' : 'kernel';
  t.same(together.map(({ tracks }) => `${tracks[0]!.transport} by ${tracks[0]!.servedBy}`).sort(), [
    'tcp by userspace',
    'tcp by userspace',
    `udp by ${kernel}`,
    `udp by ${kernel}`,
  ]);
  for (const { tracks } of together) t.match(tracks[0], { drops: 0 });
}

t.test('with the kernel engine, in namespaces', { skip: peers ?? canNetns() ?? false }, async (t) => {
  const { file } = await theClip();
  const topology = await createTopology({ viewers: CAST.length });
  try {
    const { server, proxy, viewers, upstream, downstream } = topology;
    const origin = await GstServer.start({ file, address: upstream.server.address, namespace: server });
    const product = await Product.start({ engine: 'tc', source: origin.url, namespace: proxy });
    await watch(t, product, [...viewers], (i) => product.url(downstream[i]!.proxy.address, '/clip'));
    if (!t.passing()) t.comment(product.child.describe(), origin.child.describe());
    const { facts, refused } = await product.idle();
    t.equal(facts['viewers served by user space'], 0);
    t.equal(facts['tickets out'], 0);
    t.equal(refused['viewer-too-slow'], undefined);
    await product.stop();
  } finally {
    await topology.close();
  }
});

t.test('with the user-space engine, on loopback', { skip: peers ?? false }, async (t) => {
  const { file } = await theClip();
  const origin = await GstServer.start({ file, address: '127.0.0.1' });
  const options = { engine: 'userspace', source: origin.url, host: '127.0.0.1', unprivileged: true } as const;
  const product = await Product.start({ ...options, port: await freePort() });
  try {
    await watch(t, product, [], () => product.url('127.0.0.1', '/clip'));
    if (!t.passing()) t.comment(product.child.describe(), origin.child.describe());
    await product.idle();
    await product.stop();
  } finally {
    await product.child.stop('SIGKILL');
    await origin.child.stop();
  }
});
