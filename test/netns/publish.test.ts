// SPDX-License-Identifier: Apache-2.0
// Real publishers by UDP and TCP through the kernel engines; one that takes over from another, or comes back, under a player
// that goes on playing; one from where nobody may publish; and a source that is always on.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { canNetns, canRun } from '../../tools/netns/probe.js';
import { createTopology, type Topology } from '../../tools/netns/topology.js';
import { until } from '../../tools/netns/wait.js';
import { onBothEngines } from '../fixtures/engines.js';
import { Authority } from '../fixtures/tls.js';
import { difference, ffmpeg, frameHashes, gstreamer, makeClip, type Player } from './players.js';
import { Product, compiled, freePort, startIn, temporaryFolder, type Engine } from './product.js';
import { publishWithFfmpeg, publishWithGStreamer } from './publishers.js';

t.setTimeout(280_000);

const FRAMES = 50;
const skip =
  canRun('ffmpeg', ['-version']) ?? canRun('gst-inspect-1.0', ['rtspclientsink']) ?? canNetns() ?? false;
const folder = temporaryFolder();
const clip = skip ? '' : await makeClip(folder, 25);
/** The clip may begin again while somebody watches. */
const hashes = skip ? [] : await frameHashes(clip).then((once) => [...once, ...once]);

function start({ proxy }: Topology, engine: Engine, ...lines: string[]): Promise<Product> {
  const config = join(temporaryFolder(), 'paths.yaml');
  writeFileSync(config, ['paths:', ...lines.map((line) => `  ${line}`), ''].join('\n'));
  return Product.start({ engine, namespace: proxy, more: ['--config', config] });
}

const states = async (product: Product) => (await product.streams()).map(({ state }) => state);

const PUBLISHERS = { ffmpeg: publishWithFfmpeg, gst: publishWithGStreamer };

onBothEngines('ffmpeg and GStreamer publish by UDP and TCP', { skip }, async (t, engine) => {
  const topology = await createTopology({ viewers: 2 });
  try {
    const { server, viewers, upstream, downstream } = topology;
    const product = await start(topology, engine, 'live/*: { source: publish }');
    const kinds = (['ffmpeg', 'gst'] as const).flatMap((who) =>
      (['udp', 'tcp'] as const).map((transport) => ({ who, transport })),
    );
    const publishers = await Promise.all(
      kinds.map(({ who, transport }) =>
        PUBLISHERS[who](
          server,
          clip,
          product.url(upstream.proxy.address, `/live/${who}-${transport}`),
          transport,
        ),
      ),
    );
    await until(
      'all to publish',
      async () => (await states(product)).filter((state) => state === 'playing').length === kinds.length,
      15_000,
      () => [product.child, ...publishers].map((child) => child.describe()).join('\n'),
    );
    const rows = (await product.clients()).filter(({ role }) => role === 'publisher');
    t.same(
      rows.map(({ stream, tracks }) => `${stream} ${tracks[0]!.transport}`).sort(),
      kinds.map(({ who, transport }) => `/live/${who}-${transport} ${transport}`).sort(),
      'proxyctl shows them',
    );
    const url = (i: number, name: string) => product.url(downstream[i]!.proxy.address, `/live/${name}`);
    const players = await Promise.all([
      ...kinds.map(({ who, transport }) => ffmpeg(viewers[0], url(0, `${who}-${transport}`), FRAMES)),
      gstreamer(viewers[1], url(1, 'ffmpeg-udp'), FRAMES),
      ffmpeg(viewers[1], url(1, 'gst-udp'), FRAMES, 'interleaved'),
    ]);
    const servedBy = new Set<string | null>();
    await until(
      'all to have seen enough',
      async () => {
        for (const { role, state, tracks } of await product.clients())
          for (const track of tracks)
            if (role === 'viewer' && state === 'playing' && track.transport === 'udp')
              servedBy.add(track.servedBy);
        return players.every(({ child }) => !child.running);
      },
      45_000,
      () => product.child.describe(),
    );
    t.same(servedBy, new Set(['kernel']), 'who watches by UDP, from whatever publisher');
    for (const [i, player] of players.entries())
      t.equal(difference(await player.frames(), hashes, FRAMES - 30), undefined, `player ${i}`);
    const tracks = (await product.streams()).flatMap(({ tracks }) => tracks);
    t.same(new Set(tracks.map(({ lost }) => lost)), new Set([0]), 'nothing was lost on the way in');
    for (const child of publishers) await child.stop('SIGINT');
    await product.idle();
    await product.stop();
    if (!t.passing()) t.comment(product.child.describe(), ...publishers.map((child) => child.describe()));
  } finally {
    await topology.close();
  }
});

/** Frames that it has decoded up to now. */
const decoded = ({ child }: Player) => child.stdout.split('\n').filter((line) => /^0,/.test(line)).length;

async function goesOn(player: Player, product: Product): Promise<void> {
  const before = decoded(player);
  await until(
    'more frames',
    () => decoded(player) > before + 25,
    20_000,
    () => product.child.describe() + player.child.describe(),
  );
}

onBothEngines('publishers take over and come back; the player goes on', { skip }, async (t, engine) => {
  const topology = await createTopology({ viewers: 1 });
  try {
    const { server, viewers, upstream, downstream } = topology;
    const live = `live: { source: publish, publishers: [${upstream.server.address}], takeOver: always }`;
    const product = await start(topology, engine, live);
    const url = product.url(upstream.proxy.address, '/live');
    const elsewhere = await publishWithFfmpeg(
      viewers[0],
      clip,
      product.url(downstream[0]!.proxy.address, '/live'),
      'udp',
    );
    await elsewhere.exited;
    t.match(elsewhere.stderr, /403 Forbidden/, 'not from there');

    const first = await publishWithFfmpeg(server, clip, url, 'udp');
    await until('it to play', async () => (await states(product))[0] === 'playing', 15_000);
    const player = await ffmpeg(viewers[0], product.url(downstream[0]!.proxy.address, '/live'));
    await goesOn(player, product);
    const second = await publishWithFfmpeg(server, clip, url, 'tcp');
    const end = await first.exited;
    t.not(end.code, 0, 'the first is cut off');
    await goesOn(player, product);
    t.equal((await product.streams())[0]?.viewers, 1);

    await second.stop('SIGKILL');
    await until('the proxy to notice', async () => (await states(product))[0] === 'reconnecting', 15_000);
    const third = await publishWithFfmpeg(server, clip, url, 'udp');
    await goesOn(player, product);
    t.same(await states(product), ['playing']);
    t.equal((await product.clients()).length, 2, 'the same viewer and the third publisher');
    t.equal(player.child.running, true, 'the same player, in the same session');
    const times = player.child.stdout.split('\n').flatMap((line) => /^0, *(\d+),/.exec(line)?.[1] ?? []);
    t.same(
      times.map(Number),
      times.map(Number).sort((a, b) => a - b),
      'timestamps go on',
    );
    t.notMatch(player.child.stderr, /RTP: missed/, 'sequence numbers go on');
    await player.child.stop();
    await third.stop('SIGINT');
    await product.idle();
    await product.stop();
    if (!t.passing()) t.comment(product.child.describe(), player.child.describe());
  } finally {
    await topology.close();
  }
});

t.test('over TLS and over HTTP', { skip: skip || (canRun('openssl', ['version']) ?? false) }, async (t) => {
  const authority = new Authority(folder);
  const { certificate, key } = authority.issue('IP:127.0.0.1,DNS:localhost');
  const config = join(folder, 'tls.yaml');
  writeFileSync(config, 'paths:\n  live/*: { source: publish }\n');
  const tlsPort = await freePort();
  const product = await Product.start({
    ...{ engine: 'userspace', host: '127.0.0.1', port: await freePort() },
    more: [
      ...['--config', config, '--tls-listen', `127.0.0.1:${tlsPort}`],
      ...['--tls-certificate', certificate, '--tls-key', key],
    ],
  });
  const publishers = await Promise.all([
    publishWithFfmpeg(undefined, clip, `rtsps://127.0.0.1:${tlsPort}/live/tls`, 'tcp'),
    publishWithGStreamer(undefined, clip, `rtsph://127.0.0.1:${product.port}/live/http`, 'tcp+http'),
  ]);
  try {
    await until(
      'both to publish',
      async () => (await states(product)).join() === 'playing,playing',
      15_000,
      () => [product.child, ...publishers].map((child) => child.describe()).join('\n'),
    );
    for (const name of ['tls', 'http']) {
      const player = await ffmpeg(undefined, product.url('127.0.0.1', `/live/${name}`), 25);
      t.equal(difference(await player.frames(), hashes, 20), undefined, name);
    }
    for (const child of publishers) await child.stop('SIGINT');
    await product.idle();
    await product.stop();
  } finally {
    for (const child of [product.child, ...publishers]) await child.stop('SIGKILL');
  }
});

const CAMERA = compiled('tools/camera/main.js');

t.test('a source that is always on: there before a viewer, back after it was lost', { skip }, async (t) => {
  const topology = await createTopology({ viewers: 1 });
  try {
    const { server, viewers, upstream, downstream } = topology;
    const { address } = upstream.server;
    const startCamera = () =>
      startIn(server, process.execPath, [CAMERA, '--listen', `${address}:8555`, '--json']);
    const product = await start(
      topology,
      'tc',
      `on: { source: "rtsp://${address}:8555/camera", onDemand: false }`,
    );
    for (const time of ['at first', 'again']) {
      const camera = await startCamera();
      await until(
        'it to play without a viewer',
        async () => {
          const [stream] = await product.streams();
          return stream?.state === 'playing' && stream.tracks[0]!.packets > 100;
        },
        30_000, // the longest back-off is 15 s
        () => product.child.describe(),
      );
      const player = await ffmpeg(viewers[0], product.url(downstream[0]!.proxy.address, '/on'), 25);
      t.equal((await player.frames()).length, 25, time);
      await until('the viewer to have left', async () => (await product.status()).viewers === 0, 10_000);
      t.same(await states(product), ['playing'], 'it goes on without');
      await camera.stop('SIGKILL');
      await until('the proxy to notice', async () => (await states(product))[0] !== 'playing', 15_000);
    }
    await product.stop();
    if (!t.passing()) t.comment(product.child.describe());
  } finally {
    await topology.close();
  }
});
