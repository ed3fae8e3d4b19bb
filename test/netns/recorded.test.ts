// SPDX-License-Identifier: Apache-2.0
// Recorded sources with real peers: ffmpeg and GStreamer seek in a file that gst-rtsp-server has, while another plays it
// from the beginning and must not notice. Every decoded frame is judged.
import t, { type Test } from 'tap';
import { canNetns, canRun } from '../../tools/netns/probe.js';
import { createTopology, type Namespace } from '../../tools/netns/topology.js';
import { until } from '../../tools/netns/wait.js';
import { GstServer, canServe } from './gst-server.js';
import {
  difference,
  ffmpeg,
  ffmpegFrom,
  frameHashes,
  gstreamerTo,
  makeClip,
  type Delivery,
} from './players.js';
import { Product, freePort, temporaryFolder } from './product.js';

t.setTimeout(280_000);

const SECONDS = 11;
const FPS = 25;
const TARGET = 7;
const FRAMES = 40;
const peers = canRun('ffmpeg', ['-version']) ?? canRun('gst-launch-1.0', ['--version']) ?? canServe();

interface Scene {
  readonly product: Product;
  readonly where: readonly (Namespace | undefined)[];
  readonly url: (i: number) => string;
  readonly hashes: readonly string[];
}

/** One from the beginning, and two that go elsewhere. */
async function seekBesides(
  t: Test,
  { product, where, url, hashes }: Scene,
  delivery: Delivery,
): Promise<void> {
  const first = await ffmpeg(where[0], url(0), 6 * FPS, delivery);
  const streams = async (wanted: number, own: number) => {
    const rows = await product.streams();
    return rows.length === wanted && rows.filter((row) => row.own && row.state === 'playing').length === own;
  };
  await until(
    'the first to play',
    () => streams(1, 0),
    10_000,
    () => product.child.describe(),
  );
  const seeking = await Promise.all([
    ffmpegFrom(TARGET, where[1], url(1), FRAMES, delivery),
    gstreamerTo(TARGET, where[2], url(2), FRAMES, delivery),
  ]);
  await until(
    'two sessions of their own',
    () => streams(3, 2),
    10_000,
    () => product.child.describe(),
  );
  const served = (await product.clients()).flatMap(({ tracks }) => tracks.map(({ servedBy }) => servedBy));
  const { engine } = await product.status();
  t.same(
    new Set(served),
    new Set([engine !== 'userspace' && delivery === 'unicast' ? 'kernel' : 'userspace']),
  );
  for (const [i, player] of seeking.entries()) {
    const frames = await player.frames();
    const name = i === 0 ? 'ffmpeg' : 'GStreamer';
    const from = frames.map((hash) => hashes.indexOf(hash)).find((at) => at >= 0) ?? -1;
    t.ok(from >= (TARGET - 1) * FPS && from <= (TARGET + 2) * FPS, `${name} is where it wanted: ${from}`);
    t.equal(difference(frames, hashes, FRAMES - 30), undefined, name);
  }
  t.equal(difference(await first.frames(), hashes, 5 * FPS), undefined, 'who was there first');
}

t.test('through the kernel', { skip: peers ?? canNetns() ?? false }, async (t) => {
  const file = await makeClip(temporaryFolder(), SECONDS);
  const hashes = await frameHashes(file);
  const topology = await createTopology({ viewers: 3 });
  try {
    const { server, proxy, viewers, upstream, downstream } = topology;
    const { address } = upstream.server;
    const origin = await GstServer.start({ file, address, namespace: server, recording: true });
    const product = await Product.start({ engine: 'tc', source: origin.url, namespace: proxy });
    const url = (i: number) => product.url(downstream[i]!.proxy.address, '/clip');
    await seekBesides(t, { product, where: viewers, url, hashes }, 'unicast');
    if (!t.passing()) t.comment(product.child.describe(), origin.child.describe());
    await product.idle();
    await origin.sessionsEnded();
    t.equal((await product.status()).facts['kernel streams'], 0);
    await product.stop();
  } finally {
    await topology.close();
  }
});

t.test('through user space, interleaved', { skip: peers ?? false }, async (t) => {
  const file = await makeClip(temporaryFolder(), SECONDS);
  const hashes = await frameHashes(file);
  const origin = await GstServer.start({ file, address: '127.0.0.1', recording: true });
  const source = { engine: 'userspace', source: origin.url, host: '127.0.0.1' } as const;
  const product = await Product.start({ ...source, port: await freePort() });
  try {
    const url = () => product.url('127.0.0.1', '/clip');
    await seekBesides(t, { product, where: [], url, hashes }, 'interleaved');
    if (!t.passing()) t.comment(product.child.describe(), origin.child.describe());
    await product.idle();
    await origin.sessionsEnded();
    await product.stop();
  } finally {
    await product.child.stop('SIGKILL');
    await origin.child.stop();
  }
});

t.test('near-video-on-demand: who comes late sees the beginning', { skip: peers ?? false }, async (t) => {
  const file = await makeClip(temporaryFolder(), SECONDS);
  const hashes = await frameHashes(file);
  const origin = await GstServer.start({ file, address: '127.0.0.1', recording: true });
  const source = { engine: 'userspace', source: origin.url, host: '127.0.0.1' } as const;
  const product = await Product.start({ ...source, port: await freePort(), more: ['--stagger', '2'] });
  try {
    const url = product.url('127.0.0.1', '/clip');
    const first = await ffmpeg(undefined, url, 6 * FPS);
    const isTwoSecondsOn = async () => ((await product.streams())[0]?.position ?? 0) > 2.2;
    await until('more than two seconds of it', isTwoSecondsOn, 15_000, () => product.child.describe());
    const second = await ffmpeg(undefined, url, FRAMES);
    const rows = async () =>
      (await product.streams()).map(({ open, own, viewers }) => ({ open, own, viewers }));
    await until(
      'two starts',
      async () => (await rows()).length === 2,
      10_000,
      () => product.child.describe(),
    );
    t.same((await rows())[0], { open: false, own: false, viewers: 1 }, 'the earlier one goes on');
    t.equal((await second.frames())[0], hashes[0], 'from the first frame on');
    t.equal(difference(await first.frames(), hashes, 5 * FPS), undefined, 'who was there first');
    await product.idle();
    await origin.sessionsEnded();
    t.equal(origin.events('play').length, 2);
    await product.stop();
  } finally {
    await product.child.stop('SIGKILL');
    await origin.child.stop();
  }
});
