// SPDX-License-Identifier: Apache-2.0
// H.265 with two temporal layers to two real ffmpegs, one of them behind an interface of ours that carries little more than the
// base: what it gets it decodes without an error, each picture as the source's, while the other, interleaved, gets all.
import t from 'tap';
import { canNetns, canRun } from '../../tools/netns/probe.js';
import { createTopology } from '../../tools/netns/topology.js';
import { until } from '../../tools/netns/wait.js';
import { ffmpeg, frameHashes, hashes } from './players.js';
import { compiled, Product } from './product.js';

const skip = canNetns() ?? canRun('ffmpeg', ['-version']) ?? false;
const CLIP = 'tools/camera/clip.h265';
/** Bits per second of Ethernet frames: the base takes 0.48 Mbit/s, both 0.66. */
const NARROW = 540_000;
/** Pictures of the clip. */
const LENGTH = 200;
const GOP = 25;
/** Packets; about two for each picture of the upper layer. */
const THINNED = 40;
t.setTimeout(60_000);

t.test('a narrow link: the base layer, decoded without an error', { skip }, async (t) => {
  const source = await frameHashes(CLIP);
  const topology = await createTopology({ viewers: 2 });
  try {
    const { server, proxy, viewers, upstream, downstream } = topology;
    const shape = ['rate', `${NARROW}bit`, 'burst', '4000', 'limit', '6000'];
    await proxy.run('tc', ['qdisc', 'replace', 'dev', downstream[0]!.proxy.device, 'root', 'tbf', ...shape]);
    const address = `${upstream.server.address}:554`;
    const camera = await server.spawn(process.execPath, [
      ...[compiled('tools/camera/main.js'), '--listen', address, '--json', '--clip', CLIP],
    ]);
    await camera.output(/"listening"/);
    const product = await Product.start({
      ...{ engine: 'tc', source: `rtsp://${address}/camera`, namespace: proxy },
    });
    const url = (i: number) => product.url(downstream[i]!.proxy.address, '/camera');
    const players = await Promise.all([
      ffmpeg(viewers[0], url(0)),
      ffmpeg(viewers[1], url(1), undefined, 'interleaved'),
    ]);
    await until('packets that are left out', async () => (await thinned(product)) > THINNED, 30_000);
    const [few, all] = await Promise.all(
      players.map(async ({ child }) => {
        await child.stop('SIGINT');
        t.equal(child.stderr, '', 'no error');
        return hashes(child.stdout).map((hash) => source.indexOf(hash));
      }),
    );
    t.notOk(few!.includes(-1), "no picture that is not the source's");
    const without = missing(few!);
    t.ok(without.length > 10, `${without.length} pictures were left out`);
    t.notOk(without.some(isOfBase), 'none of them of the base');
    t.ok(all!.length > 50 && !all!.includes(-1));
    t.same(missing(all!), [], 'nobody else misses any');
    if (!t.passing()) t.comment(product.child.describe(), few, all);
    await product.idle();
    await product.stop();
  } finally {
    await topology.close();
  }
});

async function thinned(product: Product): Promise<number> {
  const clients = await product.clients();
  return Math.max(...clients.map(({ tracks }) => tracks[0]?.layers?.thinned ?? 0));
}

/** Every other picture of a clip whose key frames are GOP apart. */
function isOfBase(place: number): boolean {
  return (place % GOP) % 2 === 0;
}

/** Places between the first and the last, of a clip that goes round. */
function missing(places: readonly number[]): number[] {
  const left: number[] = [];
  for (const [i, place] of places.slice(1).entries())
    for (let next = (places[i]! + 1) % LENGTH; next !== place; next = (next + 1) % LENGTH) left.push(next);
  return left;
}
