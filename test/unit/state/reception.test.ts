// SPDX-License-Identifier: Apache-2.0
// Reception against a naive model under loss, duplication, reordering and wraps; restarts; and the report blocks that
// two readings give.
import { deepStrictEqual, equal, ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { Reception } from '../../../src/control/path/ports.js';
import type { RtpHeader } from '../../../src/control/rtp/header.js';
import {
  MAX_DROPOUT,
  MAX_MISORDER,
  OTHERS_TO_SWITCH,
  SourceReception,
} from '../../../src/control/state/reception.js';
import { reportBlock } from '../../../src/control/state/report-block.js';

const S = 1_000_000_000n;
const MS = 1_000_000n;

function packet(index: number, ssrc = 7, timestamp = (index * 3000) >>> 0): RtpHeader {
  return { sequence: index % 65536, timestamp, ssrc };
}

/** The packets 0..count-1 after `base` as a network might deliver them; the first one comes first. */
const delivery = fc
  .record({
    base: fc.oneof(fc.nat(65535), fc.integer({ min: 65500, max: 65535 })),
    fates: fc.array(
      fc.record({
        copies: fc.constantFrom(0, 1, 1, 1, 1, 2),
        delay: fc.constantFrom(0, 0, 0, 1, 5, MAX_MISORDER - 2),
        skip: fc.constantFrom(0, 0, 0, 0, 0, 1, MAX_DROPOUT - MAX_MISORDER),
      }),
      { maxLength: 300 },
    ),
  })
  .map(({ base, fates }) => {
    const sent: { index: number; at: number }[] = [{ index: base, at: -1 }];
    let index = base;
    let at = 0;
    let skipped = 0;
    for (const { copies, delay, skip } of fates) {
      // A late packet must not fall behind by more than MAX_MISORDER because of a jump right after it.
      const jump = skip > 1 && at - skipped < MAX_MISORDER ? 0 : skip;
      if (jump > 1) skipped = at += MAX_MISORDER;
      index += 1 + jump;
      for (let i = 0; i < copies; i++) sent.push({ index, at: at + delay + i / 2 });
      at++;
    }
    return sent.sort((a, b) => a.at - b.at).map((s) => s.index);
  });

t.test('sequence numbers, loss and fraction are those of a naive count', (t) => {
  let wraps = 0;
  let negative = 0;
  const property = fc.property(delivery, fc.integer({ min: 1, max: 60 }), (indexes, interval) => {
    const reception = new SourceReception(90000);
    const base = indexes[0]!;
    let highest = base;
    let previous: Reception | undefined;
    let before = { expected: 0, received: 0 };
    indexes.forEach((index, i) => {
      ok(reception.update(packet(index), BigInt(i) * MS));
      if (index > highest) highest = index;
      if (i % interval !== 0) return;
      const now = reception.read()!;
      const [expected, received] = [highest - base + 1, i + 1];
      equal(now.extendedMaxSeq, highest);
      equal(now.received, received);
      equal(now.timestamp, packet(highest).timestamp);
      const due = expected - before.expected;
      const lost = due - (received - before.received);
      const block = reportBlock(previous, now, undefined, 0n);
      equal(block.cumulative, expected - received);
      equal(block.fraction, due > 0 && lost > 0 ? Math.floor((lost * 256) / due) : 0);
      if (block.cumulative < 0) negative++;
      previous = now;
      before = { expected, received };
    });
    if (highest > 65535) wraps++;
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 300 }));
  t.ok(wraps > 0 && negative > 0, `${wraps} runs wrapped, ${negative} readings had a negative loss`);
  t.end();
});

t.test('a jump is loss, ignored, or a restart', (t) => {
  const reception = new SourceReception(90000);
  for (const i of [10, 11]) reception.update(packet(i), 0n);
  t.ok(reception.update(packet(11 + MAX_DROPOUT - 1), 0n), 'the largest jump that is loss');
  const before = reception.read()!;
  t.match(before, { baseSeq: 10, extendedMaxSeq: 11 + MAX_DROPOUT - 1, received: 3 });
  t.notOk(reception.update(packet(before.extendedMaxSeq + MAX_DROPOUT), 0n), 'one more');
  t.notOk(reception.update(packet(before.extendedMaxSeq - MAX_MISORDER), 0n), 'as far behind');
  t.same(reception.read(), before, 'neither changes anything');
  t.notOk(reception.update(packet(40000), 0n), 'first of a restart');
  t.ok(reception.update(packet(40001), 5n), 'the one after it confirms');
  t.match(reception.read(), { baseSeq: 40001, extendedMaxSeq: 40001, received: 1, jitter: 0, arrivalNs: 5n });
  t.match(reportBlock(before, reception.read()!, undefined, 0n), { cumulative: 0, fraction: 0 });
  t.end();
});

t.test('another SSRC begins afresh, once it is more than a stray', (t) => {
  const reception = new SourceReception(90000);
  t.equal(reception.read(), undefined, 'nothing before the first packet');
  for (const i of [10, 11, 15]) reception.update(packet(i), 0n);
  const before = reception.read()!;
  for (let i = 1; i < OTHERS_TO_SWITCH; i++) t.notOk(reception.update(packet(500 + i, 8), 1n));
  t.same(reception.read(), before, 'strays change nothing');
  t.ok(reception.update(packet(16), 2n), 'ours in between');
  for (let i = 1; i < OTHERS_TO_SWITCH; i++)
    t.notOk(reception.update(packet(500 + i, 8), 3n), 'counted anew');
  t.ok(reception.update(packet(600, 8), 9n));
  const now = reception.read()!;
  t.match(now, { ssrc: 8, baseSeq: 600, extendedMaxSeq: 600, received: 1, arrivalNs: 9n });
  t.match(reportBlock(before, now, undefined, 0n), { ssrc: 8, cumulative: 0, fraction: 0 });
  t.end();
});

t.test('jitter', (t) => {
  const steady = new SourceReception(90000);
  for (let i = 0; i < 100; i++) steady.update(packet(i), (BigInt(i) * S) / 30n);
  t.ok(steady.read()!.jitter <= 1, 'a steady source has none, but for rounding');

  const property = fc.property(
    fc.nat(0xffffffff),
    fc.array(fc.nat(40), { minLength: 2, maxLength: 100 }),
    (start, delays) => {
      const reception = new SourceReception(90000);
      let model = 0;
      delays.forEach((delay, i) => {
        reception.update(packet(i, 7, (start + i * 3000) >>> 0), (BigInt(i) * S) / 30n + BigInt(delay) * MS);
        if (i > 0) model += (Math.abs(delay - delays[i - 1]!) * 90 - model) / 16;
      });
      ok(Math.abs(reception.read()!.jitter - model) < 3, `${reception.read()!.jitter} against ${model}`);
    },
  );
  t.doesNotThrow(() => fc.assert(property), 'as the formula of RFC 3550 6.4.1, timestamps wrapping');

  const unknown = new SourceReception(0);
  for (let i = 0; i < 10; i++) unknown.update(packet(i), BigInt(i * i) * MS);
  t.equal(unknown.read()!.jitter, 0, 'none without a clock rate');
  t.end();
});

t.test('report block: limits and the last sender report', (t) => {
  const reading: Reception = {
    ssrc: 7,
    extendedMaxSeq: 0xffffffff,
    baseSeq: 0,
    received: 1,
    jitter: 12,
    timestamp: 0,
    arrivalNs: 0n,
  };
  const sr = { ssrc: 7, ntpMiddle: 0xabcd, arrivalNs: S };
  const block = reportBlock(undefined, { ...reading, extendedMaxSeq: 0x7fffffff }, sr, 3n * S + S / 2n);
  deepStrictEqual(block, {
    ssrc: 7,
    fraction: 255,
    cumulative: 0x7fffff,
    extendedMaxSeq: 0x7fffffff,
    jitter: 12,
    lsr: 0xabcd,
    dlsr: 0x28000,
  });
  const many = { ...reading, extendedMaxSeq: 10, received: 0x7fffffff };
  t.equal(reportBlock(undefined, many, sr, S).cumulative, -0x800000, 'duplicates without end');
  t.match(
    reportBlock(undefined, many, { ...sr, ssrc: 8 }, S),
    { lsr: 0, dlsr: 0 },
    'another source’s report',
  );
  t.match(reportBlock(undefined, many, undefined, S), { lsr: 0, dlsr: 0 }, 'none yet');

  // 2^32 packets on, counters and cycles wrap together.
  const late = { ...reading, extendedMaxSeq: 0xfffffff0, received: 0xfffffff0 };
  const wrapped = { ...reading, extendedMaxSeq: 0xf, received: 0xb };
  t.match(reportBlock(late, wrapped, undefined, 0n), { cumulative: 5, fraction: Math.floor((4 * 256) / 31) });
  t.match(reportBlock(late, late, undefined, 0n), { fraction: 0 }, 'nothing came in between');
  t.end();
});
