// SPDX-License-Identifier: Apache-2.0
// The default policy on a modelled link, packet by packet (fixtures/modelled-link.ts), in the scenes of `make bench-layers` and
// with its targets, over several seeds. What is measured on a machine is one draw of this.
import t from 'tap';
import { AimdPolicy } from '../../../src/control/layers/aimd.js';
import type { LayerPolicy } from '../../../src/control/layers/policy.js';
import { ThesisPolicy } from '../../../src/control/layers/thesis.js';
import { CLIP, EIGHT_LAYERS } from '../../fixtures/bench-stream.js';
import { ModelledLink, type LinkOptions, type Seen } from '../../fixtures/modelled-link.js';
import { random } from '../../fixtures/random.js';

const MBIT = 125_000;
const SEEDS = [1, 2, 3];

function chance(seed: number): () => number {
  const next = random(seed);
  return () => next(2 ** 30) / 2 ** 30;
}

/** As the bench's token bucket has it. */
const queueOf = (rate: number) => Math.max(25_000, 0.04 * rate);

function scene(viewers: number, mbit: number, seed: number, more: Partial<LinkOptions> = {}): ModelledLink {
  const unit = chance(seed);
  return new ModelledLink({
    ...{
      stream: EIGHT_LAYERS,
      random: unit,
      capacity: () => mbit * MBIT,
      queueBytes: () => queueOf(mbit * MBIT),
    },
    policies: Array.from({ length: viewers }, () => new AimdPolicy(unit)),
    ...more,
  });
}

/** A minute to settle, then a minute. */
function settled(link: ModelledLink): Seen {
  link.run(60);
  return link.run(60);
}

const textOf = ({ load, use, baseLoss, loss, jain }: Seen) =>
  `load ${load.toFixed(3)}, use ${use.toFixed(3)}, loss ${loss.toFixed(4)}, of the base ${baseLoss.toFixed(4)}, Jain ${jain.toFixed(3)}`;

t.test('100 Mbit/s for 120 and 160 viewers: used, not over-used, evenly', async (t) => {
  const cameras: Partial<LinkOptions>[] = [{}, { bursts: true }, { stalls: { every: 1, most: 0.03 } }];
  for (const viewers of [120, 160])
    for (const camera of cameras)
      for (const seed of SEEDS) {
        const seen = settled(scene(viewers, 100, seed, camera));
        const text = `${viewers} viewers, ${JSON.stringify(camera)}, seed ${seed}: ${textOf(seen)}`;
        t.ok(seen.use >= 0.95 && seen.load <= 1.05 && seen.jain >= 0.98 && seen.baseLoss < 0.03, text);
      }
});

t.test('80 viewers, for whom there is just room, have everything and keep it', async (t) => {
  for (const camera of [{}, { bursts: true }, { stalls: { every: 1, most: 0.03 } }]) {
    const seen = settled(scene(80, 100, 1, camera));
    t.ok(seen.loss === 0 && seen.changes === 0 && seen.allowances.every((each) => each === 7), textOf(seen));
  }
});

t.test(
  'a camera that often has to wait for a core: its bursts cost use, but nobody is starved',
  async (t) => {
    for (const viewers of [80, 160])
      for (const seed of SEEDS) {
        const seen = settled(scene(viewers, 100, seed, { stalls: { every: 1, most: 0.12 } }));
        t.ok(
          seen.use >= 0.6 && seen.jain >= 0.98 && seen.baseLoss < 0.03,
          `${viewers}, ${seed}: ${textOf(seen)}`,
        );
      }
  },
);

t.test('the thesis over-uses the same link: that is what there is to beat', async (t) => {
  const policies: LayerPolicy[] = Array.from({ length: 160 }, () => new ThesisPolicy());
  const { load, loss } = settled(scene(160, 100, 1, { policies }));
  t.ok(load > 1.1 && loss > 0.05, `load ${load}, loss ${loss}`);
});

t.test('viewers behind links of their own: one wide, one narrow, one that loses by itself', async (t) => {
  const all = settled(scene(1, 2, 1));
  t.same(all.allowances, [7]);
  const narrow = scene(1, 0.72, 1);
  narrow.run(60);
  const { use, loss } = narrow.run(120);
  t.ok(use > 0.8 && loss < 0.02, `600 of 720 kbit/s, and probes: ${use}, ${loss}`);
});

t.test('one viewer of the clip on a link that steps 2, 0.4, 2 Mbit/s', async (t) => {
  const capacity = (s: number) => (s >= 20 && s < 65 ? 0.4 : 2) * MBIT;
  for (let seed = 1; seed <= 60; seed++) {
    const link = scene(1, 0, seed, { stream: CLIP, capacity, queueBytes: (s) => queueOf(capacity(s)) });
    link.run(20);
    t.ok(
      link.run(15).allowances[0] === 0 || link.run(1).allowances[0] === 0,
      `seed ${seed}: down in two reports`,
    );
    const narrow = link.run(65 - 36);
    t.equal(narrow.damaged, 0, `seed ${seed}: ${narrow.damaged} pictures damaged`);
    t.equal(link.run(45).damaged, 0, 'nor later');
    t.same(link.run(15).allowances, [7], `seed ${seed}: all again within a minute`);
  }
});

t.test('a TCP flow beside twenty viewers', async (t) => {
  for (const seed of SEEDS) {
    const link = scene(20, 15, seed, { tcp: true });
    link.run(45);
    const { tcp, use, loss } = link.run(45);
    const text = `seed ${seed}: TCP ${tcp / MBIT} Mbit/s, viewers ${use}, loss ${loss}`;
    t.ok(tcp > (0.5 * 15 * MBIT) / 21, text);
    t.ok(use > 0.5 && loss < 0.03, text);
  }
});
