// SPDX-License-Identifier: Apache-2.0
// The benchmark of layers without a network: its arithmetic, its document, its figures.
import t from 'tap';
import type { ClientRow, ClientTrackRow, StatusRow } from '../../../src/control/api/types.js';
import { between } from '../../../tools/bench/layers/between.js';
import type { Moment } from '../../../tools/bench/layers/scene.js';
import { figures } from '../../../tools/bench/layers/plots.js';
import { drawSvg } from '../../../tools/bench/plot.js';
import type { SharingPoint } from '../../../tools/bench/layers/sharing.js';
import { renderLayers, type LayersResults } from '../../../tools/bench/layers-report.js';

/** Two viewers: what was sent to each, what each got, and packets that were refused at the entrance. */
function moment(ms: number, sent: number, got: readonly number[], refused = 0, lost = 0): Moment {
  const track = {
    ...{ packets: sent, bytes: 500 * sent, drops: 0 },
    loss: { fraction: 0, cumulative: lost, jitterMs: 0, roundTripMs: null, at: '' },
    layers: { policy: 'aimd', allowance: 3, wanted: 3, bandwidth: null, changes: sent / 100, thinned: 0 },
  } as unknown as ClientTrackRow;
  return {
    ms,
    clients: got.map((_, id) => ({ id, tracks: [track] }) as unknown as ClientRow),
    streams: [],
    status: { drops: { 'no-ticket': refused } } as unknown as StatusRow,
    seen: got.map((packets) => ({
      packets,
      bytes: 500 * packets,
      lost: 0,
      base: packets,
      baseLost: sent - packets,
    })),
    busy: { cores: [{ idle: ms / 2, all: ms }], lateMs: ms === 0 ? [900] : [900, 3, 1, 40] },
  };
}

t.test('between two moments: what was due, what arrived, what was lost and said to be', async (t) => {
  const found = between(moment(0, 0, [0, 0]), moment(10_000, 1000, [900, 800], 0, 100));
  t.equal(found.seconds, 10);
  t.equal(found.offeredMbit.toFixed(6), ((2000 * 542 * 8) / 1e7).toFixed(6));
  t.equal(found.carriedMbit.toFixed(6), ((1700 * 542 * 8) / 1e7).toFixed(6));
  t.same(found.perViewerKbit, { mean: 340, least: 320, most: 360 });
  t.ok(Math.abs(found.jain - 1700 ** 2 / (2 * (900 ** 2 + 800 ** 2))) < 1e-9);
  t.ok(Math.abs(found.loss - 0.15) < 1e-9 && Math.abs(found.baseLoss - 0.15) < 1e-9);
  t.equal(found.lossReported, 0.1);
  t.equal(found.changesPerMinute, 60);
  t.same(found.busy, { idle: [0.5], cameraLateMs: { median: 3, most: 40 } });
  const refused = between(moment(0, 0, [0, 0]), moment(10_000, 1000, [1000, 1000], 100));
  t.ok(Math.abs(refused.loss - 200 / 2200) < 1e-9, 'what was refused whole is due to each');
  t.ok(Math.abs(refused.offeredMbit / ((2200 * 542 * 8) / 1e7) - 1) < 1e-9);
});

const point = (policy: 'off' | 'aimd', viewers: number, more: Partial<SharingPoint> = {}): SharingPoint => ({
  ...{ policy, bottleneck: 'router', viewers, seconds: 60, offeredMbit: 99, carriedMbit: 98 },
  ...{ perViewerKbit: { mean: 560, least: 500, most: 600 }, jain: 0.99, loss: 0.004, lossReported: 0.004 },
  ...{ baseLoss: 0.004, allowance: 3, changesPerMinute: 2 },
  ...more,
});
const results: LayersResults = {
  measured: '2026-01-01 00:00',
  quick: false,
  minutes: 1,
  machine: {
    ...{
      processor: 'p',
      cores: 2,
      memoryGiB: 1,
      virtual: 'v',
      kernel: 'k',
      node: 'n',
      libbpf: 'l',
      compiler: 'c',
    },
    ...{ commit: 'abc', settings: {} },
  },
  sharing: {
    linkMbit: 100,
    settleSeconds: 60,
    points: [
      point('off', 160, { offeredMbit: 190 }),
      point('aimd', 160),
      point('aimd', 120, { jain: 0.97 }),
      point('aimd', 80),
    ],
  },
  steps: [
    {
      bottleneck: 'router',
      steps: [{ mbit: 2, at: 0 }, { mbit: 0.4, at: 2 }], // prettier-ignore
      changes: [{ at: 0, layer: 7 }, { at: 4.5, layer: 0 }], // prettier-ignore
      ...{ downSeconds: 2.5, upSeconds: null, kbit: [900, 900, 150] },
      settled: [{ pictures: 10, undecodable: 1, gaps: 0 }],
    },
  ],
  besideTcp: [{ ...point('aimd', 20), policy: 'aimd', linkMbit: 15, tcpMbit: 0.3, fairMbit: 15 / 21 }],
};

t.test('the document says of each target whether it was met', async (t) => {
  const text = renderLayers(results).join('\n');
  t.match(
    text,
    /160 viewers, aimd: offered 99 % of the link: met .* Jain 0\.990: met .*base layer lost 0\.40 %: met/,
  );
  t.match(text, /120 viewers, aimd: .* Jain 0\.970: \*\*missed\*\*/);
  t.match(text, /80 viewers, aimd: offered .* used \d+ %/, 'of what they want, where the link has room');
  t.match(text, /A router beyond: 1 pictures that cannot be decoded: \*\*missed\*\*/);
  t.match(text, /The flow gets 42 % of an even share: \*\*missed\*\*/);
  t.match(text, /\| a router beyond \| 2\.5 \| never \|/);
});

t.test('figures are SVG with their lines in it', async (t) => {
  for (const { name, spec } of figures(results.sharing, results.steps)) {
    const svg = await drawSvg(spec);
    t.match(svg, /^<svg [\s\S]*<\/svg>\n$/, name);
    t.match(svg, name === 'layers-steps' ? /router beyond/ : /without scaling/);
  }
});
