// SPDX-License-Identifier: Apache-2.0
// Chapter 4's average: (average * 15 + bytes / time) / 16 every 200 ms, exact.
import t from 'tap';
import { countLayer, noRates, rollRates, WINDOW_NS } from '../../../src/control/rtp/layer-rates.js';

const START = 5_000_000_000n;

t.test('one window after the other', (t) => {
  const state = noRates();
  countLayer(state, 0, 1000, START);
  t.same(state.averages[0], 0n, 'nothing before the first window has ended');
  countLayer(state, 0, 500, START + WINDOW_NS - 1n);
  rollRates(state, START + WINDOW_NS);
  t.equal(state.averages[0], (1500n * 5n) / 16n, '1500 bytes in 0.2 s are 7500 bytes/s');
  countLayer(state, 0, 1601, START + WINDOW_NS);
  countLayer(state, 3, 16, START + WINDOW_NS);
  rollRates(state, START + 2n * WINDOW_NS);
  t.equal(state.averages[0], (468n * 15n + 1601n * 5n) / 16n, 'rounded down');
  t.equal(state.averages[3], 5n, 'layers are apart');
  t.end();
});

t.test('windows without a packet count', (t) => {
  const [one, many] = [noRates(), noRates()];
  for (const state of [one, many]) countLayer(state, 2, 100_000, START);
  for (let i = 1n; i <= 10n; i++) rollRates(one, START + i * WINDOW_NS);
  rollRates(many, START + 10n * WINDOW_NS + 7n);
  t.same(many.averages, one.averages);
  t.equal(many.windowNs, one.windowNs, 'windows follow each other without a gap');
  rollRates(many, START + 100n * WINDOW_NS);
  t.equal(many.averages[2], 0n, 'long silence');
  t.end();
});

t.test('a steady stream is measured as it is', (t) => {
  const state = noRates();
  const bytesPerSecond = 466 * 271;
  for (let packet = 0; packet < 271 * 30; packet++)
    countLayer(state, 1, 466, START + (BigInt(packet) * 1_000_000_000n) / 271n);
  const measured = Number(state.averages[1]);
  t.ok(Math.abs(measured / bytesPerSecond - 1) < 0.01, `${measured} of ${bytesPerSecond} bytes/s`);
  t.end();
});

t.test('a clock that has not moved, or none yet', (t) => {
  const state = noRates();
  rollRates(state, START);
  t.equal(state.windowNs, 0n);
  countLayer(state, 0, 10, START);
  rollRates(state, START - 1n);
  t.equal(state.windowNs, START);
  t.equal(state.bytes[0], 10n);
  t.end();
});
