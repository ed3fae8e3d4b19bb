// SPDX-License-Identifier: Apache-2.0
// One real stream in, real players out: gst-rtsp-server, three ffmpeg and a GStreamer viewer at once over UDP. Every
// decoded frame equals the source's; there is one upstream session, and none after the last viewer.
import t, { type Test } from 'tap';
import { canNetns, canRun } from '../../tools/netns/probe.js';
import { createTopology, type Namespace } from '../../tools/netns/topology.js';
import { GstServer, canServe } from './gst-server.js';
import { type Player, difference, ffmpeg, frameHashes, gstreamer, makeClip } from './players.js';
import { Product, freePort, temporaryFolder } from './product.js';

// The runner's limit for a file is the one that counts, not tap's 30 s.
t.setTimeout(280_000);

const FRAMES = 75;
const peers = canRun('ffmpeg', ['-version']) ?? canRun('gst-launch-1.0', ['--version']) ?? canServe();

let clip: Promise<{ file: string; hashes: string[] }> | undefined;
/** Made once, long enough for all to join and to see FRAMES frames from a key frame on. */
function theClip() {
  clip ??= makeClip(temporaryFolder(), 12).then(async (file) => ({ file, hashes: await frameHashes(file) }));
  return clip;
}

async function watch(t: Test, where: (Namespace | undefined)[], url: (i: number) => string): Promise<void> {
  const { hashes } = await theClip();
  const players: Player[] = await Promise.all([
    ...[0, 1, 2].map((i) => ffmpeg(where[i], url(i), FRAMES)),
    gstreamer(where[3], url(3), FRAMES),
  ]);
  const results = await Promise.allSettled(players.map((player) => player.frames()));
  for (const [i, result] of results.entries()) {
    const name = i < 3 ? `ffmpeg ${i}` : 'GStreamer';
    if (result.status === 'rejected') t.fail(`${name}: ${(result.reason as Error).message}`);
    else
      t.equal(difference(result.value, hashes, FRAMES - 30), undefined, `${name} shows the source's frames`);
  }
}

async function upstreamWasOne(t: Test, server: GstServer, product: Product): Promise<void> {
  const status = await product.idle();
  await server.sessionsEnded();
  for (const event of ['new-session', 'setup', 'play', 'teardown'])
    t.equal(server.events(event).length, 1, `one ${event} upstream`);
  t.equal(status.viewers, 0);
  t.equal(status.streams, 0);
  t.strictSame(await product.clients(), []);
  t.strictSame(await product.streams(), []);
}

t.test('the judge of frames can say no', async (t) => {
  const source = Array.from({ length: 100 }, (_, i) => `frame${i}`);
  const part = (from: number, to: number) => source.slice(from, to);
  t.equal(difference(part(25, 90), source, 60), undefined);
  t.equal(difference(['grey', ...part(25, 90)], source, 60), undefined, 'before its first key frame');
  t.match(difference(part(25, 60), source, 60), /only 35 frames/);
  t.match(
    difference([...part(25, 50), ...part(51, 90)], source, 60),
    /should be .* 50 and is .* 51/,
    'a gap',
  );
  t.match(difference([...part(25, 50), 'grey', ...part(51, 90)], source, 60), /50 and is no frame/, 'damage');
  t.match(difference([...part(25, 50), ...part(49, 90)], source, 60), /50 and is .* 49/, 'a repetition');
  t.match(difference(part(26, 49), source, 20), /none of 23/);
  t.match(difference([...part(1, 25), 'grey', ...part(25, 90)], source, 60), /25 frames before/);
});

for (const wanted of ['tc', 'xdp'] as const)
  t.test(
    `through the kernel, ${wanted}, in namespaces`,
    { skip: peers ?? canNetns() ?? false },
    async (t) => {
      const { file } = await theClip();
      const topology = await createTopology({ viewers: 4 });
      try {
        const { server, proxy, viewers, upstream, downstream } = topology;
        const origin = await GstServer.start({ file, address: upstream.server.address, namespace: server });
        const product = await Product.start({ engine: wanted, source: origin.url, namespace: proxy });
        await watch(t, [...viewers], (i) => product.url(downstream[i]!.proxy.address, '/clip'));
        if (!t.passing()) t.comment(product.child.describe(), origin.child.describe());
        await upstreamWasOne(t, origin, product);
        const { engine, facts } = await product.status();
        t.equal(engine, wanted);
        if (wanted === 'xdp') t.ok(Number(facts['copies made by XDP']) > 0);
        t.equal(facts['kernel streams'], 0);
        t.equal(facts['tickets out'], 0);
        t.equal(facts['viewers served by user space'], 0);
        await product.stop();
        for (const device of ['up0', 'down0'])
          t.notMatch(
            await proxy.run('tc', ['filter', 'show', 'dev', device, 'ingress']),
            /bpf/,
            `${device} is bare`,
          );
      } finally {
        await topology.close();
      }
    },
  );

t.test('through user space, on loopback, without privileges', { skip: peers ?? false }, async (t) => {
  const { file } = await theClip();
  const origin = await GstServer.start({ file, address: '127.0.0.1' });
  const options = { engine: 'userspace', source: origin.url, host: '127.0.0.1', unprivileged: true } as const;
  const product = await Product.start({ ...options, port: await freePort() });
  try {
    await watch(t, [], () => product.url('127.0.0.1', '/clip'));
    if (!t.passing()) t.comment(product.child.describe(), origin.child.describe());
    await upstreamWasOne(t, origin, product);
    t.equal((await product.status()).engine, 'userspace');
    await product.stop();
  } finally {
    await product.child.stop('SIGKILL');
    await origin.child.stop();
  }
});
