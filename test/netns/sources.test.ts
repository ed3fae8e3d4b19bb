// SPDX-License-Identifier: Apache-2.0
// Sources that are not plain: media within the RTSP connection, name and password (gst-rtsp-server), one that takes no SETUP
// while it plays (mediamtx), and one that dies and comes back (the project's camera) behind a player that goes on playing.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Child, tcpListening } from '../../tools/netns/child.js';
import { canNetns, canRun } from '../../tools/netns/probe.js';
import { createTopology, type Namespace } from '../../tools/netns/topology.js';
import { until } from '../../tools/netns/wait.js';
import { GstServer, canServe } from './gst-server.js';
import { difference, ffmpeg, frameHashes, gstreamer, makeClip } from './players.js';
import { Product, compiled, freePort, startIn, temporaryFolder } from './product.js';

t.setTimeout(280_000);

const FRAMES = 50;
const WHO = 'operator:secret';
const peers = canRun('ffmpeg', ['-version']) ?? canRun('gst-launch-1.0', ['--version']) ?? canServe();

const withCredentials = (url: string) => url.replace('rtsp://', `rtsp://${WHO}@`);

/** What both players decode is what the source has. */
async function watch(
  t: Test,
  where: readonly (Namespace | undefined)[],
  url: (i: number) => string,
  file: string,
) {
  const hashes = await frameHashes(file);
  const players = await Promise.all([ffmpeg(where[0], url(0), FRAMES), gstreamer(where[1], url(1), FRAMES)]);
  for (const [i, frames] of (await Promise.all(players.map((player) => player.frames()))).entries())
    t.equal(difference(frames, hashes, FRAMES - 30), undefined, i === 0 ? 'ffmpeg' : 'GStreamer');
}

t.test('TCP and Digest, through the kernel', { skip: peers ?? canNetns() ?? false }, async (t) => {
  const file = await makeClip(temporaryFolder(), 10);
  const topology = await createTopology({ viewers: 2 });
  try {
    const { server, proxy, viewers, upstream, downstream } = topology;
    const origin = await GstServer.start({
      file,
      address: upstream.server.address,
      namespace: server,
      tcp: true,
      digest: WHO,
    });
    const product = await Product.start({
      engine: 'tc',
      source: withCredentials(origin.url),
      namespace: proxy,
    });
    const watching = watch(t, viewers, (i) => product.url(downstream[i]!.proxy.address, '/clip'), file);
    const served = until(
      'both to be served',
      async () => {
        const tracks = (await product.clients()).flatMap(({ tracks }) => tracks);
        return tracks.length === 2 && tracks.every(({ packets }) => packets > 0) && tracks;
      },
      10_000,
    );
    t.same(new Set((await served).map(({ servedBy }) => servedBy)), new Set(['kernel']));
    await watching;
    t.notMatch(product.child.describe().replace(product.child.command, ''), /secret/);
    await product.idle();
    await origin.sessionsEnded();
    await product.stop();
    if (!t.passing()) t.comment(product.child.describe(), origin.child.describe());
  } finally {
    await topology.close();
  }
});

t.test('TCP and Digest, through user space', { skip: peers ?? false }, async (t) => {
  const file = await makeClip(temporaryFolder(), 10);
  const origin = await GstServer.start({ file, address: '127.0.0.1', tcp: true, digest: WHO });
  const product = await Product.start({
    ...{
      engine: 'userspace',
      source: withCredentials(origin.url),
      host: '127.0.0.1',
      port: await freePort(),
    },
  });
  try {
    await watch(t, [], () => product.url('127.0.0.1', '/clip'), file);
    await product.idle();
    await origin.sessionsEnded();
    await product.stop();
  } finally {
    await product.child.stop('SIGKILL');
    await origin.child.stop();
  }
});

t.test(
  'a viewer that wants sound as well, where another watches without (mediamtx)',
  { skip: canRun('mediamtx', ['--version']) ?? canRun('ffmpeg', ['-version']) ?? false },
  async (t) => {
    const at = await freePort();
    const file = join(temporaryFolder(), 'mediamtx.yml');
    const off = Object.fromEntries(['rtmp', 'hls', 'webrtc', 'srt'].map((name) => [name, false]));
    const rtsp = { rtspAddress: `127.0.0.1:${at}`, rtspTransports: ['tcp'], paths: { all_others: {} } };
    writeFileSync(file, JSON.stringify({ ...rtsp, ...off }));
    const origin = await Child.start('mediamtx', [file], { env: { MTX_MOQ: 'false' } });
    await tcpListening(origin.pid, at, 20_000);
    const source = `rtsp://127.0.0.1:${at}`;
    const publisher = await startIn(undefined, 'ffmpeg', [
      ...['-nostdin', '-v', 'error', '-re', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25'],
      ...['-f', 'lavfi', '-i', 'sine', '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency'],
      ...['-g', '25', '-c:a', 'aac', '-f', 'rtsp', '-rtsp_transport', 'tcp', `${source}/x`],
    ]);
    await origin.output(/is publishing/, 10_000);
    const engine = 'userspace';
    const product = await Product.start({ engine, source, host: '127.0.0.1', port: await freePort() });
    const watching = (...more: string[]) =>
      startIn(undefined, 'ffmpeg', [
        ...['-nostdin', '-v', 'error', '-rtsp_transport', 'tcp', ...more],
        ...['-i', product.url('127.0.0.1', '/x'), '-f', 'framecrc', '-'],
      ]);
    const frames = (player: Child, stream: number) =>
      player.stdout.split('\n').filter((line) => line.startsWith(`${stream},`)).length;
    const told = () => [origin, publisher, product.child].map((child) => child.describe()).join('\n');
    try {
      const first = await watching('-allowed_media_types', 'video');
      await until('a picture', () => frames(first, 0) > 25, 15_000, told);
      const second = await watching();
      await until('picture and sound', () => frames(second, 0) > 25 && frames(second, 1) > 25, 15_000, told);
      const before = frames(first, 0);
      await until('the first to go on', () => frames(first, 0) > before + 25, 5000, told);
      t.notMatch(product.child.stdout + product.child.stderr, /the source is gone/);
      t.match(await product.streams(), [{ viewers: 2, tracks: [{}, {}] }]);
      await Promise.all([first.stop(), second.stop()]);
      await product.idle();
      await product.stop();
    } finally {
      for (const child of [product.child, publisher, origin]) await child.stop('SIGKILL');
    }
  },
);

const CAMERA = compiled('tools/camera/main.js');

t.test(
  'the camera dies and comes back, or another takes its place; the player goes on',
  { skip: canRun('ffmpeg', ['-version']) ?? canNetns() ?? false },
  async (t) => {
    const topology = await createTopology({ viewers: 1 });
    try {
      const { server, proxy, viewers, upstream, downstream } = topology;
      const { address } = upstream.server;
      const start = (port = 8555) =>
        startIn(server, process.execPath, [CAMERA, '--listen', `${address}:${port}`, '--json']);
      const config = join(temporaryFolder(), 'fallback.yaml');
      const camera1 = `rtsp://${address}:8555/camera`;
      const camera2 = `rtsp://${address}:8556/camera`;
      writeFileSync(config, `paths: { camera: { source: "${camera1}", fallbacks: ["${camera2}"] } }\n`);
      for (const [engine, fallback] of [
        ['tc', false],
        ['userspace', false],
        ['tc', true],
      ] as const) {
        const camera = await start();
        await camera.output(/"listening"/);
        const product = await Product.start({
          engine,
          namespace: proxy,
          ...(fallback
            ? { more: ['--config', config] }
            : { source: `rtsp://${address}:8555`, more: ['--source-hold', '30'] }),
        });
        const player = await ffmpeg(viewers[0], product.url(downstream[0]!.proxy.address, '/camera'));
        const decoded = () => player.child.stdout.split('\n').filter((line) => /^0,/.test(line)).length;
        await until(
          'some frames',
          () => decoded() > 25,
          15_000,
          () => player.child.describe(),
        );
        const before = decoded();
        let second = fallback ? await start(8556) : undefined;
        await second?.output(/"listening"/);
        await camera.stop('SIGKILL');
        if (!second) {
          await until(
            'the proxy to notice',
            async () => (await product.streams())[0]?.state === 'reconnecting',
            5000,
          );
          second = await start();
        }
        await until(
          'more frames',
          () => decoded() > before + 50,
          20_000,
          () => product.child.describe() + player.child.describe(),
        );
        t.equal((await product.streams())[0]?.state, 'playing', fallback ? 'the fallback' : engine);
        t.match((await product.streams())[0]?.upstream, fallback ? /:8556$/ : /:8555$/);
        t.equal((await product.clients()).length, 1);
        t.equal(player.child.running, true, 'the same player, in the same session');
        const times = player.child.stdout
          .split('\n')
          .flatMap((line) => /^0, *(\d+),/.exec(line)?.[1] ?? [])
          .map(Number);
        t.same(
          times,
          [...times].sort((a, b) => a - b),
          'timestamps go on',
        );
        t.notMatch(player.child.stderr, /RTP: missed|error while decoding/, 'nothing is missing');
        await player.child.stop();
        await product.idle();
        await product.stop();
        await second.stop();
      }
    } finally {
      await topology.close();
    }
  },
);
