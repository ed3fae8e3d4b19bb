// SPDX-License-Identifier: Apache-2.0
// Interleaved viewers of a stream: what is written to each, in how many writes, and what one that is too slow misses.
import { deepStrictEqual, equal, ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { Chunk } from '../../../src/control/kernel/interleaved-chunk.js';
import { Seam } from '../../../src/control/kernel/seam.js';
import type { CachedPacket } from '../../../src/control/kernel/picture-cache.js';
import { Framer } from '../../../src/control/rtsp/framer.js';
import { Bench, FRAME, IDR, QUEUE, RTCP, SLICE } from '../../fixtures/interleaved-bench.js';
import { rtpWith } from '../../fixtures/picture-cases.js';

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

t.test('a picture is one write, and all viewers on the same channels share its bytes', async (t) => {
  const bench = new Bench();
  const [a, b, c] = [bench.join(), bench.join(), bench.join([4, 5])];
  bench.send(true, 3);
  bench.send(false, 300);
  t.same(
    a.sink.writes.map(({ length }) => length),
    [3 * FRAME, 300 * FRAME],
  );
  for (const i of [0, 1]) {
    t.equal(a.sink.writes[i]!.buffer, b.sink.writes[i]!.buffer, 'the very same memory');
    t.equal(a.sink.writes[i]!.byteOffset, b.sink.writes[i]!.byteOffset);
  }
  t.same(a.sink.seqs(), range(1, 303));
  t.same(c.sink.seqs(4), range(1, 303), 'other channels, other bytes');
  t.match(a.handle.counters(), {
    ...{ packets: 303, bytes: 303 * 16, rtcpPackets: 0, drops: 0, held: 0, pictures: 0 },
  });
  a.handle.remove();
  bench.send(false, 1);
  t.equal(a.sink.writes.length, 2, 'who has gone gets nothing');
  t.equal(b.sink.writes.length, 3);
});

t.test('RTCP keeps its place: behind the picture that is being gathered, at once otherwise', async (t) => {
  const bench = new Bench();
  const { sink, handle } = bench.join();
  bench.fanout.forwardRtcp(RTCP);
  t.same(sink.frames(1), [RTCP]);
  bench.picture = 1;
  bench.packet(IDR, false);
  bench.fanout.forwardRtcp(RTCP);
  t.equal(sink.writes.length, 1);
  bench.packet(SLICE, true);
  t.same(
    sink.writes.map((bytes) => bytes[1]),
    [1, 0, 1],
  );
  t.equal(handle.counters().rtcpPackets, 2);
});

t.test('who is too slow misses whole pictures and goes on with one that can be decoded', async (t) => {
  const bench = new Bench();
  const [slow, other] = [bench.join(), bench.join()];
  bench.send(true, 20);
  slow.sink.stalled = true;
  for (let i = 0; i < 5; i++) bench.send(false, 20);
  t.same(slow.sink.seqs(), range(1, 80), 'three more fit: 1200 bytes, then no further is begun');
  t.same(slow.sink.events, [true]);
  bench.send(true, 20);
  t.equal(slow.sink.seqs().at(-1), 80, 'it still has no room');
  slow.sink.stalled = false;
  slow.sink.queued = 0;
  bench.send(false, 20);
  t.equal(slow.sink.seqs().at(-1), 80, 'nothing that cannot be decoded');
  bench.send(true, 20);
  bench.send(false, 20);
  t.same(slow.sink.seqs(), [...range(1, 80), ...range(161, 200)]);
  t.same(slow.sink.events, [true, false]);
  t.match(slow.handle.counters(), { packets: 120, drops: 80, pictures: 4 });
  t.equal(bench.dropped, 80);
  t.same(other.sink.seqs(), range(1, 200), 'nobody else misses anything');
});

t.test(
  'who was too slow waits a second for a key picture, from when there is room, then for any',
  async (t) => {
    const bench = new Bench();
    const { sink, handle } = bench.join();
    bench.send(true, 60);
    sink.queued = QUEUE + 1;
    bench.send(false, 2);
    bench.nowMs = 5000;
    bench.send(false, 2);
    sink.queued = 0;
    bench.send(false, 2);
    bench.nowMs = 5999;
    bench.send(false, 2);
    bench.picture++;
    bench.packet(SLICE, false);
    bench.gathering?.();
    bench.nowMs = 6000;
    bench.packet(SLICE, true);
    t.equal(sink.seqs().at(-1), 60, 'not within a picture');
    bench.send(false, 2);
    t.same(sink.seqs(), [...range(1, 60), 71, 72]);
    t.same(sink.events, [true, false]);
    t.match(handle.counters(), { drops: 10, pictures: 5 });

    sink.queued = QUEUE + 1;
    bench.send(false, 2);
    sink.queued = 0;
    bench.send(false, 2);
    t.equal(sink.seqs().at(-1), 72, 'each time anew');
  },
);

t.test(
  'of an unknown codec it goes on with the next picture; one that has been begun is finished',
  async (t) => {
    const bench = new Bench({ name: 'PCMU', payloadType: 0 });
    const { sink, handle } = bench.join();
    sink.stalled = true;
    bench.picture = 1;
    for (let i = 0; i < 60; i++) {
      bench.packet(SLICE, false);
      bench.gathering?.(); // one write each
    }
    bench.packet(SLICE, true);
    t.same(sink.seqs(), range(1, 61), 'more than the limit, less than twice');
    bench.send(false, 2);
    t.equal(sink.seqs().at(-1), 61);
    sink.queued = 0;
    bench.send(false, 2);
    t.same(sink.seqs(), [...range(1, 61), 64, 65]);
    t.match(handle.counters(), { drops: 2, pictures: 1 });
    sink.queued = 2 * QUEUE + 1;
    bench.fanout.forwardRtcp(RTCP);
    t.match(handle.counters(), { rtcpPackets: 0, drops: 3 }, 'reports are bounded as well');
  },
);

t.test(
  'a viewer begins at the picture that a held-back one waits for, in the middle of what is gathered',
  async (t) => {
    const bench = new Bench();
    const { sink, handle } = bench.join();
    bench.send(false, 3);
    t.equal(handle.heldBack, true);
    bench.picture++;
    bench.packet(SLICE, false); // a delimiter before the key frame
    bench.packet(IDR, false);
    bench.packet(SLICE, true);
    t.same(sink.seqs(), [5, 6]);
    t.match(handle.counters(), { held: 4, packets: 2 });
    const late = new Bench();
    const patient = late.join();
    late.send(false, 1);
    late.nowMs = 1001;
    late.send(false, 1);
    t.same(patient.sink.seqs(), [2], 'it is not held back for ever');
  },
);

t.test(
  'joins, leaves and stalls while pictures flow: without gap or duplicate but for whole pictures',
  (t) => {
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom('slice' as const, 'split' as const) },
      { weight: 2, arbitrary: fc.constantFrom('key' as const, 'tick' as const, 'join' as const) },
      { weight: 1, arbitrary: fc.constantFrom('burst' as const, 'stall' as const, 'drain' as const) },
    );
    let stalls = 0;
    const property = fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => {
      const bench = new Bench();
      const viewers: ReturnType<Bench['join']>[] = [];
      const firsts = new Set<number>(); // of key pictures
      const openings = new Set<number>();
      const picture = (key: boolean, packets: number) => {
        openings.add(bench.seq + 1);
        if (key) firsts.add(bench.seq + 1);
        bench.send(key, packets);
      };
      bench.join();
      picture(true, 1);
      for (const what of steps) {
        if (what === 'slice') picture(false, 5);
        else if (what === 'key') picture(true, 5);
        else if (what === 'burst') picture(true, 90);
        else if (what === 'tick') bench.tick();
        else if (what === 'join') viewers.push(bench.join([0, 1]));
        else if (what === 'split') {
          openings.add(bench.seq + 1);
          bench.picture++;
          bench.packet(SLICE, false);
          viewers.push(bench.join());
          bench.packet(SLICE, true);
        } else if (what === 'stall') for (const { sink } of viewers.slice(0, 3)) sink.stalled = true;
        else for (const { sink } of viewers) Object.assign(sink, { stalled: false, queued: 0 });
      }
      for (const { sink } of viewers) Object.assign(sink, { stalled: false, queued: 0 });
      for (let i = 0; i < 200; i++) bench.tick();
      picture(true, 5);
      for (const { sink, handle } of viewers) {
        const got = sink.seqs();
        ok(firsts.has(got[0]!), 'it begins with a key picture');
        equal(got.at(-1), bench.seq);
        for (const [i, seq] of got.entries()) {
          if (i === 0 || seq === got[i - 1]! + 1) continue;
          ok(firsts.has(seq), `after a gap: ${seq}`);
          ok(openings.has(got[i - 1]! + 1), `before a gap a whole picture: ${got[i - 1]}`);
          stalls++;
        }
        equal(handle.counters().packets, got.length);
        equal(handle.counters().drops, bench.seq - got[0]! + 1 - got.length);
      }
    });
    fc.assert(property, { numRuns: 150 });
    t.ok(stalls > 10, 'slow viewers were among them');
    t.end();
  },
);

t.test('the seam between the picture cache of the kernel and what comes up', (t) => {
  const packet = (seq: number) => rtpWith(SLICE, { seq: seq & 0xffff });
  const property = fc.property(
    fc.record({
      first: fc.nat(0xffff),
      cached: fc.integer({ min: 1, max: 30 }),
      overlap: fc.nat(10),
      late: fc.nat(5),
    }),
    ({ first, cached, overlap, late }) => {
      const tickets: CachedPacket[] = [];
      const keep = (seq: number) => tickets.push({ is: 'packet', bytes: packet(seq) }, { is: 'nothing' });
      for (let i = 0; i < cached; i++) keep(first + i);
      const seam = new Seam({
        tickets: () => ({ next: tickets.length, begin: 0 }),
        read: (ticket) => tickets[ticket]!,
      });
      const got = seam.begin();
      for (let i = 0; i < late; i++) keep(first + cached + i); // after begin(), before the first comes up
      const up = Math.max(0, cached + late - overlap);
      for (let i = up; i < cached + late + 5; i++) {
        if (i >= cached + late) keep(first + i);
        got.push(...seam.take(packet(first + i), (first + i) & 0xffff));
      }
      deepStrictEqual(
        got.map((bytes) => bytes.readUInt16BE(2)),
        Array.from({ length: cached + late + 5 }, (_, i) => (first + i) & 0xffff),
      );
    },
  );
  fc.assert(property, { numRuns: 500 });
  const nothing = new Seam({
    tickets: () => ({ next: 9, begin: undefined }),
    read: () => ({ is: 'pending' }),
  });
  t.same(nothing.begin(), []);
  t.same(nothing.take(packet(7), 7), [packet(7)], 'without a cache all that comes up is taken');
  const lost = new Seam({ tickets: () => ({ next: 9, begin: 3 }), read: () => ({ is: 'overwritten' }) });
  t.same(lost.begin(), []);
  t.same(lost.take(packet(7), 7), [packet(7)]);
  const pending = new Seam({ tickets: () => ({ next: 9, begin: 3 }), read: () => ({ is: 'pending' }) });
  t.same(pending.begin(), []);
  t.end();
});

t.test('a chunk grows, and knows its packets', async (t) => {
  const chunk = new Chunk(true);
  const packets = range(1, 50).map((seq) => rtpWith(Buffer.alloc(seq * 30, seq), { seq }));
  for (const packet of packets) chunk.append(7, packet, packet.readUInt16BE(2) === 20);
  const framer = new Framer();
  framer.push(chunk.from(chunk.beginsAt!));
  const got: Buffer[] = [];
  for (let frame = framer.next(); frame; frame = framer.next())
    if (frame.kind === 'frame') got.push(frame.payload);
  t.same(got, packets.slice(19));
  t.equal(chunk.packetsFrom(chunk.beginsAt!), 31);
});
