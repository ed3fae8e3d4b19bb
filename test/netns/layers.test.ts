// SPDX-License-Identifier: Apache-2.0
// The real layered clip through the kernel engine to a viewer whose link becomes narrow: it gets fewer layers, and what it
// gets is a stream without a flaw. Then the link is wide again, and it gets more. Meanwhile the benchmark of layers, small and short.
import t, { type Test } from 'tap';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { nalType } from '../../tools/camera/annexb.js';
import { compiled } from '../../tools/bench/programs.js';
import { Child } from '../../tools/netns/child.js';
import { readPackets } from '../../tools/bench/layers/kept.js';
import { Scene } from '../../tools/bench/layers/scene.js';
import { canNetns } from '../../tools/netns/probe.js';
import { until } from '../../tools/netns/wait.js';
import { cannotDecode, decodePictures, receivedPictures } from '../../tools/svc/check.js';

t.setTimeout(180_000);

const skip = canNetns() ?? cannotDecode() ?? false;
const WIDE = 2e6;
/** The base takes 0.15 Mbit/s, the next layer as much as to make it 0.45. */
const NARROW = 0.4e6;
/** NAL unit type of filler data. */
const FILLER = 12;
const PICTURE_UNITS = 90_000 / 25;

t.test(
  'a narrow link: fewer layers, each picture whole, decodable and without a gap',
  { skip },
  async (t) => {
    const keep = `build/layers-test-${process.pid}.packets`;
    const scene = await Scene.open({
      ...{ policy: 'aimd', viewers: 1, bottleneck: 'own', rate: WIDE, keep },
      clip: 'tools/camera/clip-svc.h264',
    });
    const now = () => performance.timeOrigin + performance.now();
    const beginMs = now();
    try {
      await sleep(3000);
      t.equal(await scene.allowance(), 7, 'all layers where there is room');
      const { streams } = await scene.moment();
      const { notion, rates } = streams[0]!.tracks[0]!.layers!;
      t.equal(notion, 'dependency');
      t.ok(
        rates.slice(0, 3).every((rate) => rate > 20_000) && rates.slice(3).every((rate) => rate === 0),
        `${rates}`,
      );
      await scene.place.narrow('own', NARROW);
      const narrowAt = (now() - beginMs) / 1000;
      await until('the base alone', async () => (await scene.allowance()) === 0, 20_000);
      await sleep(6000); // what waited has been sent
      const settledAt = (now() - beginMs) / 1000;
      await sleep(6000);
      const [client] = (await scene.moment()).clients;
      t.ok(client!.tracks[0]!.layers!.thinned > 100 && client!.tracks[0]!.layers!.changes > 0);
      await scene.place.narrow('own', WIDE);
      await benchmarkRuns(t); // meanwhile: it takes most of a minute until more is tried
      await until('more layers again', async () => (await scene.allowance()) > 0, 120_000);
      await scene.close();

      const packets = readPackets(keep, beginMs);
      const came = new Map(packets.map(({ at, packet }) => [packet.readUInt32BE(4), at]));
      const pictures = receivedPictures(packets.map(({ packet }) => packet));
      const first = pictures.findIndex(({ isIdr, isWhole }) => isIdr && isWhole);
      const all = pictures.slice(first);
      const decoded = decodePictures(all);
      const judged = all.map((picture, i) => ({
        ...picture,
        state: decoded[i]!.state,
        at: came.get(picture.timestamp)!,
      }));
      t.ok(
        judged.some(({ top, at }) => top === 2 && at < narrowAt),
        'three layers before',
      );
      const settled = judged.filter(({ at }) => at >= settledAt && at < settledAt + 5);
      t.ok(settled.length >= 100, `${settled.length} pictures in 5 s`);
      t.ok(
        settled.every(({ top }) => top <= 1),
        'not all layers on the narrow link',
      );
      t.same(
        settled.filter(({ isWhole, isContinuous, state }) => !isWhole || !isContinuous || state !== 0),
        [],
      );
      t.ok(
        settled.some(({ nals }) => nals.some((nal) => nalType(nal) === FILLER)),
        'ends that stand for what was left out are among them',
      );
      const steps = settled.slice(1).map(({ timestamp }, i) => (timestamp - settled[i]!.timestamp) >>> 0);
      t.ok(
        steps.every((step) => step === PICTURE_UNITS),
        'the base layer of each picture is there',
      );
      const flawed = judged.filter(({ isContinuous, state }) => !isContinuous || state !== 0).length;
      t.comment(`${judged.length} pictures, ${flawed} of them with a gap or an error, the changes included`);
    } finally {
      await scene.close().catch(() => {});
      rmSync(keep, { force: true });
    }
  },
);

async function benchmarkRuns(t: Test): Promise<void> {
  const only = ['--only', 'sharing aimd router|tcp'];
  const bench = await Child.start(process.execPath, [compiled('tools/bench/layers.js'), '--quick', ...only]);
  t.match(await bench.exited, { code: 0 }, bench.stderr);
  t.match(bench.stdout, /^\| aimd \| 10 \| (?!0\.0)/m, 'viewers of a link');
  t.match(bench.stdout, /^\| aimd \| 20 \| 15 \| (?!0\.00)/m, 'and beside TCP');
}
