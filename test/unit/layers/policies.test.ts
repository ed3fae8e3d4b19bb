// SPDX-License-Identifier: Apache-2.0
// Both policies by single reports: the thesis's worked examples, and each rule of the default one.
import t from 'tap';
import fc from 'fast-check';
import { AIMD, AimdPolicy } from '../../../src/control/layers/aimd.js';
import { highestWithin, ladderOf, standsOn } from '../../../src/control/layers/ladder.js';
import { lossOf, TOP_LAYER, type Interval, type LayerPolicy } from '../../../src/control/layers/policy.js';
import { tcpLoss, tcpThroughput } from '../../../src/control/layers/tcp-throughput.js';
import { isAlike, tolerated, TOLERANCE, typicalOf } from '../../../src/control/layers/tolerance.js';
import { bandwidthOf, targetOf, ThesisPolicy } from '../../../src/control/layers/thesis.js';

/** The spec's: cumulative, kbit/s. */
const CUMULATIVE = [300, 400, 500, 600, 800, 900, 1000, 1100];
const KBIT = 125;
const LADDER = ladderOf(CUMULATIVE.map((rate, i) => (rate - (CUMULATIVE[i - 1] ?? 0)) * KBIT));

const interval = (more: Partial<Interval> = {}): Interval => ({
  ...{ nowMs: 0, seconds: 5, bytesSent: 5 * 137_500, packetsSent: 1000, packetsDropped: 0, packetsLost: 0 },
  ...{ roundTripMs: undefined, limited: false, typical: undefined },
  ...more,
});

/** One after the other, five seconds apart; the allowance after each. */
function reports(policy: LayerPolicy, losses: readonly number[], fromMs = 0): number[] {
  return losses.map((loss, i) => {
    const { rate } = LADDER[standsOn(LADDER, policy.allowance)]!;
    const sent = { bytesSent: 5 * rate, packetsSent: 1000, packetsLost: 1000 * loss };
    policy.reported(interval({ ...sent, nowMs: fromMs + 5000 * (i + 1) }), LADDER);
    return policy.allowance;
  });
}

t.test('the thesis: 8 Mbit/s, 200 of 1000 packets left out on purpose, 300 reported lost', async (t) => {
  const example = interval({
    ...{ seconds: 1, bytesSent: 800_000, packetsSent: 1000, packetsDropped: 200, packetsLost: 300 },
  });
  t.equal(bandwidthOf(example), 720_000);
  t.equal(lossOf(example), 100 / 800, 'of the copies that were sent');
  const closedUp = { ...example, packetsSent: 800, packetsDropped: 0, packetsLost: 100 };
  t.equal(bandwidthOf(closedUp), 700_000, 'where sequence numbers are closed up nothing else is counted');
  t.equal(bandwidthOf(interval({ packetsLost: -5 })), 137_500, 'duplicates are no bandwidth');
  t.equal(bandwidthOf(interval({ packetsLost: 5000 })), 0, 'nor is a report that cannot be');
});

t.test('the thesis: the first layer that exceeds 850 is 5, and the highest where none does', async (t) => {
  t.equal(LADDER[targetOf(LADDER, 850 * KBIT)]!.layer, 5);
  t.equal(LADDER[targetOf(LADDER, 299 * KBIT)]!.layer, 0);
  t.equal(LADDER[targetOf(LADDER, 300 * KBIT)]!.layer, 1);
  t.equal(LADDER[targetOf(LADDER, 2000 * KBIT)]!.layer, 7);
});

t.test('the thesis: a viewer starts with the highest and moves a layer per report', async (t) => {
  const policy = new ThesisPolicy();
  t.equal(policy.allowance, TOP_LAYER);
  t.equal(policy.bandwidth, undefined);
  t.same(reports(policy, [0.5, 0.5, 0.5, 0.5]), [6, 5, 4, 3]);
  t.same(reports(policy, [0, 0, 0]), [4, 5, 6], 'one step of over-use each time');
  t.equal(policy.bandwidth, 900 * KBIT);
  const before = policy.allowance;
  policy.reported(interval({ bytesSent: 0, packetsSent: 0 }), LADDER);
  t.equal(policy.allowance, before, 'nothing was sent, nothing is known');
});

t.test('ladder: layers that are not there are no step', async (t) => {
  const ladder = ladderOf([1000, 0, 500, 0.2, 0, 0, 0, 0]);
  t.match(ladder, [
    { layer: 0, rate: 1000 },
    { layer: 2, rate: 1500 },
  ]);
  t.equal(standsOn(ladder, 1), 0);
  t.equal(standsOn(ladder, TOP_LAYER), 1);
  t.equal(highestWithin(ladder, 999), 0, 'the base in any case');
  t.equal(highestWithin(ladder, 1500), 1);
  t.same(ladderOf([0, 0, 0, 0, 0, 0, 0, 0]), []);
});

const middle = () => 0.5;

t.test(
  'aimd: all at first, then at once what got through, then a layer at a time after the hold',
  async (t) => {
    const policy = new AimdPolicy(middle);
    t.equal(policy.allowance, TOP_LAYER);
    const [first] = reports(policy, [0.4]);
    t.equal(first, 2, '60 % of 1100, less a tenth of that, is 594: 500 fits');
    t.ok(Math.abs(policy.bandwidth! - 0.6 * 0.9 * 1100 * KBIT) < 1);
    const next = reports(policy, [0, 0, 0, 0], 5000);
    t.same(next, [2, 3, 3, 3], 'the hold, then one more; 800 is more than the 660 that got through');
    const later = reports(policy, Array(12).fill(0), 25_000);
    t.same(later.slice(0, 4), [3, 3, 3, 3]);
    t.same([...new Set(later)], [3, 4, 5, 6, 7], 'after a minute a layer with each report without loss');
  },
);

t.test('aimd: a probe that fails is taken back, and waits twice as long each time', async (t) => {
  const policy = new AimdPolicy(middle);
  reports(policy, [0.4]);
  const steps: number[] = [];
  let stood = 2;
  for (let i = 1; i <= 60; i++) {
    const [now] = reports(policy, [stood > 2 ? 0.15 : 0], 5000 * i);
    if (now! > 2) steps.push(i);
    stood = now!;
  }
  t.ok(steps.length >= 3, `probes in five minutes: ${steps.length}`);
  const waits = steps.slice(1).map((at, i) => at - steps[i]!);
  t.same(
    waits.slice(1).filter((wait, i) => wait < waits[i]!),
    [],
    `waits grow: ${waits.join(' ')}`,
  );
  t.equal(policy.allowance, 2);
});

t.test(
  'tolerance: who has more than is typical has less of it, who is unlike has that of who is alone',
  async (t) => {
    t.equal(typicalOf([1, 2]), undefined, 'too few');
    t.equal(typicalOf([9, 1, 5]), 5);
    const typical = 500 * KBIT;
    const of = (kbit: number) => tolerated(kbit * KBIT, typical);
    t.same([of(300), of(500), of(1000)], [TOLERANCE.most, TOLERANCE.typical, TOLERANCE.least]);
    t.ok(of(480) > of(500) && of(500) > of(550));
    t.equal(tolerated(1, undefined), TOLERANCE.alone);
    t.notOk(isAlike(1100 * KBIT, typical) || isAlike(200 * KBIT, typical) || isAlike(1, undefined));
    t.ok(isAlike(1000 * KBIT, typical) && isAlike(300 * KBIT, typical));
  },
);

t.test('aimd: the same loss moves who has more than is typical, and not who has less', async (t) => {
  const after = (allowance: number, loss: number) => {
    const policy = new AimdPolicy(middle);
    reports(policy, [1 - (LADDER[allowance]!.rate * 1.2) / LADDER[7]!.rate]);
    t.equal(policy.allowance, allowance);
    const { rate } = LADDER[allowance]!;
    const sent = { bytesSent: 5 * rate, packetsSent: 1000, packetsLost: 1000 * loss };
    policy.reported(interval({ ...sent, nowMs: 10_000, typical: 500 * KBIT }), LADDER);
    return policy.allowance;
  };
  t.equal(after(1, 0.018), 2, 'up to what is typical, without a hold');
  t.equal(after(4, 0.018), 3, 'half of the way down to it');
});

t.test('aimd: one loss on a way with a long queue is no reason to have no more than TCP', async (t) => {
  const policy = new AimdPolicy(middle);
  const sent = { bytesSent: 5 * 137_500, packetsSent: 1000, packetsLost: 8, roundTripMs: 800 };
  policy.reported(interval({ ...sent, nowMs: 5000 }), LADDER);
  t.equal(policy.allowance, TOP_LAYER);
  policy.reported(interval({ ...sent, nowMs: 10_000 }), LADDER);
  t.ok(policy.allowance < TOP_LAYER, 'two are');
});

t.test('aimd: who is sent less anyway does not probe', async (t) => {
  const policy = new AimdPolicy(middle);
  reports(policy, [0.4]);
  for (let i = 1; i < 20; i++)
    policy.reported(interval({ nowMs: 5000 * (i + 1), bytesSent: 5 * 300 * KBIT, limited: true }), LADDER);
  t.equal(policy.allowance, 2);
});

t.test('aimd: steady loss lets a viewer have no more than TCP would', async (t) => {
  for (const loss of [0.003, 0.01, 0.03]) {
    const policy = new AimdPolicy(middle);
    for (let i = 0; i < 40; i++) reports(policy, [loss], 5000 * i);
    const tcp = tcpThroughput({ loss, roundTripMs: AIMD.roundTrip, packetBytes: 600 });
    const { layer, rate } = LADDER[standsOn(LADDER, policy.allowance)]!;
    t.ok(
      layer === 0 || rate <= tcp / (1 - AIMD.patience),
      `${loss}: layer ${layer}, TCP ${tcp / KBIT} kbit/s`,
    );
  }
});

t.test('TCP: the equation of RFC 5348, and its inverse where time-outs do not matter', async (t) => {
  t.equal(tcpThroughput({ loss: 0, roundTripMs: 100, packetBytes: 1000 }), Infinity);
  // s 1460, R 0.1, p 0.01: 1460 / (0.1 * 0.08165 + 0.4 * 0.18371 * 0.01 * 1.0032)
  const bytes = tcpThroughput({ loss: 0.01, roundTripMs: 100, packetBytes: 1e9 });
  t.ok(Math.abs(bytes - 1460 / (0.1 * 0.08165 + 0.4 * 3 * 0.061237 * 0.01 * 1.0032)) < 1);
  const rate = tcpThroughput({ loss: 0.0005, roundTripMs: 100, packetBytes: 1e9 });
  t.ok(Math.abs(tcpLoss(rate, 100) / 0.0005 - 1) < 0.05);
});

t.test('whatever is reported, the allowance is a layer and the bandwidth a number', async () => {
  const number = fc.double({ min: -1e9, max: 1e9, noNaN: true });
  const rates = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 8, maxLength: 8 });
  const report = fc.record({
    bytesSent: fc.nat(),
    packetsSent: fc.nat(),
    packetsDropped: fc.nat(1000),
    packetsLost: number,
    roundTripMs: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true }), { nil: undefined }),
    limited: fc.boolean(),
    typical: fc.option(fc.double({ min: 0, max: 1e9, noNaN: true }), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(report, rates), { maxLength: 30 }), (all) => {
      for (const policy of [new ThesisPolicy(), new AimdPolicy(Math.random)])
        for (const [i, [given, averages]] of all.entries()) {
          policy.reported({ ...given, nowMs: i * 1000, seconds: 1 }, ladderOf(averages));
          const { allowance, bandwidth = 0 } = policy;
          if (!Number.isInteger(allowance) || allowance < 0 || allowance > TOP_LAYER) return false;
          if (!Number.isFinite(bandwidth) || bandwidth < 0) return false;
        }
      return true;
    }),
  );
});
