// SPDX-License-Identifier: Apache-2.0
// How long packets of a picture are gathered for interleaved viewers.
import t from 'tap';
import { Bench, IDR, SLICE } from '../../fixtures/interleaved-bench.js';

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

t.test(
  'without a marker packets wait at most five milliseconds, or until another picture begins',
  async (t) => {
    const bench = new Bench();
    const { sink } = bench.join();
    bench.picture = 1;
    bench.packet(IDR, false);
    bench.packet(SLICE, false);
    t.equal(sink.writes.length, 0);
    t.ok(bench.gatherMs <= 4, 'and a timer may be a millisecond late');
    bench.gathering!();
    t.same(sink.seqs(), [1, 2]);
    bench.packet(SLICE, false);
    bench.picture = 2;
    bench.packet(SLICE, false);
    t.equal(sink.writes.length, 2, 'the next picture has begun');
    bench.packet(SLICE, true);
    t.equal(bench.gathering, undefined, 'no timer is left');
    t.same(sink.seqs(), range(1, 5));
    const large = new Bench();
    const viewer = large.join();
    large.picture = 1;
    for (let i = 0; i < 20_000; i++) large.packet(i === 0 ? IDR : SLICE, false);
    t.equal(viewer.sink.writes.length, 1, 'what is gathered is bounded');
    viewer.handle.remove();
    t.equal(large.gathering, undefined);
  },
);

t.test(
  'where pictures end with a marker, packets wait for it the longer the more there is to write',
  async (t) => {
    const bench = new Bench();
    const { sink } = bench.join();
    const gatherMs = (turnMs: number): number => {
      sink.turn = () => (bench.nowMs += turnMs);
      bench.send(true, 2);
      bench.picture++;
      bench.packet(SLICE, false);
      bench.packet(SLICE, true);
      return bench.gatherMs;
    };
    t.equal(gatherMs(0.1), 4);
    t.equal(gatherMs(1.5), 15);
    t.equal(gatherMs(100), 40);
    t.equal(sink.writes.length, 6);
    bench.picture++;
    bench.packet(SLICE, false);
    bench.gathering!();
    bench.picture++;
    bench.packet(SLICE, false);
    t.equal(bench.gatherMs, 4, 'the last one had none');
  },
);
