// SPDX-License-Identifier: Apache-2.0
// Datagrams that waited while no process was there; the whole of it in netns/keep.
import { mock } from 'node:test';
import t from 'tap';
import { WaitingDatagrams } from '../../../src/control/net/waiting-datagrams.js';

const FROM = { address: '192.0.2.1', port: 5004 };
const TICK_MS = 5;

function waiting(before: number) {
  const datagrams = new WaitingDatagrams();
  const got: number[] = [];
  let [ends, next] = [0, 0];
  const come = (count: number) => {
    for (const last = next + count; next < last; next++) datagrams.push(Buffer.from([next & 0xff]), FROM);
  };
  come(before);
  datagrams.drain(
    (packet) => got.push(packet[0]!),
    () => ends++,
  );
  return { datagrams, got, come, ends: () => ends };
}

t.before(() => mock.timers.enable({ apis: ['setTimeout'] }));

t.test('few are handed on a few at a time, in order, what comes meanwhile behind them', (t) => {
  const { got, come, ends } = waiting(10);
  t.equal(got.length, 4, 'some at once');
  come(200); // much faster than the pace
  mock.timers.tick(TICK_MS);
  t.equal(got.length, 208, 'as many more as came');
  mock.timers.tick(TICK_MS);
  mock.timers.tick(TICK_MS);
  t.equal(ends(), 1);
  t.same(
    got,
    Array.from({ length: 210 }, (_, i) => i & 0xff),
  );
  t.end();
});

t.test('many are spread over a second, and bounded', (t) => {
  const { got, ends } = waiting(10_000);
  for (let ms = 0; ms < 900; ms += TICK_MS) mock.timers.tick(TICK_MS);
  t.equal(ends(), 0);
  t.ok(got.length > 3000 && got.length < 4096, `${got.length} after 900 ms`);
  for (let ms = 0; ms < 100; ms += TICK_MS) mock.timers.tick(TICK_MS);
  t.equal(ends(), 1);
  t.equal(got.length, 4096, 'all that is kept');
  t.end();
});

t.test('closing gives up what is left', (t) => {
  const { datagrams, got } = waiting(100);
  datagrams.close();
  mock.timers.tick(2000);
  t.equal(got.length, 4);
  t.end();
});
