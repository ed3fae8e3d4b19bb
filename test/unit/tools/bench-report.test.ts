// SPDX-License-Identifier: Apache-2.0
// The benchmark's arithmetic and its document: no figure in docs/benchmarks.md that is not in the raw results.
import t from 'tap';
import { existsSync, readFileSync } from 'node:fs';
import { type Delivery, isExact, losses } from '../../../tools/bench/delivery.js';
import { documentText } from '../../../tools/bench/document.js';
import { isMet, renderJoins, type JoinsResults } from '../../../tools/bench/joins-report.js';
import { figure, range, table, verdict } from '../../../tools/bench/markdown.js';
import { viewerAt } from '../../../tools/bench/protocol.js';
import { type Results, report } from '../../../tools/bench/report.js';
import { sameForAll } from '../../../tools/bench/sections/bottleneck.js';
import {
  estimate,
  isAtMost,
  minus,
  percentile,
  ratio,
  spread,
  standardError,
  times,
} from '../../../tools/bench/statistics.js';

const RAW = 'docs/benchmarks/datapath.json';
const DOCUMENT = 'docs/benchmarks.md';

const missing = existsSync(RAW) ? false : `${RAW} has not been measured yet`;
t.test('docs/benchmarks.md is what its raw results say', { skip: missing }, async (t) => {
  const results = JSON.parse(readFileSync(RAW, 'utf8')) as Results;
  t.equal(readFileSync(DOCUMENT, 'utf8'), documentText(), 'each benchmark writes it');
  t.ok(documentText().includes(report(results)));
  t.notOk(results.quick, 'of a whole run');
  t.notMatch(report(results), /NaN|undefined|Infinity/);
});

t.test('percentiles are by nearest rank, spreads have a median', async (t) => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  t.strictSame(
    [0, 0.5, 0.99, 1].map((share) => percentile(hundred, share)),
    [1, 50, 99, 100],
  );
  t.ok(Number.isNaN(percentile([], 0.5)));
  t.equal(standardError([1, 3]), 1);
  t.equal(standardError([1]), Infinity);
});

t.test('estimates carry their error along, and a verdict needs one that is small enough', async (t) => {
  t.strictSame(estimate([1, 3]), { mean: 2, error: 1 });
  t.strictSame(minus({ mean: 5, error: 3 }, { mean: 1, error: 4 }), { mean: 4, error: 5 });
  t.strictSame(times({ mean: 2, error: 1 }, -3), { mean: -6, error: 3 });
  t.strictSame(ratio({ mean: 4, error: 0 }, { mean: 2, error: 0.5 }), { mean: 2, error: 0.5 });
  t.strictSame(ratio({ mean: 0, error: 1 }, { mean: 2, error: 0.5 }), { mean: 0, error: 0.5 });
  const of = (mean: number, error: number) => isAtMost({ mean, error }, 1);
  t.strictSame([of(0.5, 0.3), of(1.5, 0.3), of(0.9, 0.3), of(1.1, 0.3)], [true, false, undefined, undefined]);
  t.strictSame(spread([3, 1, 2]), { median: 2, least: 1, most: 3 });
  t.strictSame(spread([4, 1, 2, 3]), { median: 2.5, least: 1, most: 4 });
});

t.test('joins: met only when all have joined, at the rate, in time', async (t) => {
  const run = {
    ...{
      engine: 'xdp',
      joined: 20,
      perSecond: 10,
      p50: 1,
      p99: 49.9,
      max: 60,
      ownDelayMs: 3,
      failures: {},
      cores: 0.5,
      cpuMs: 1,
    },
  };
  const results = {
    ...{ measured: 'now', rate: 10, seconds: 2, stayMs: 200, addresses: 50, machine: {} },
    runs: [{ ...run, p99: 50 }, run, { ...run, p99: 20 }],
  } as unknown as JoinsResults;
  t.ok(isMet(results, run));
  for (const wrong of [{ joined: 19 }, { perSecond: 9.7 }, { p99: 50 }])
    t.notOk(isMet(results, { ...run, ...wrong }), JSON.stringify(wrong));
  const [, rows, verdict] = renderJoins(results);
  t.match(rows, '| 2 | xdp | 20 | 10 | 1.0 | 49.9 | 60.0 | 3.0 | 0 | 50 | 1.00 |');
  t.match(verdict, /^p99, median of 3 runs: 49.9 \(20.0 to 50.0\) ms; in 2 of 3 runs .*: \*\*missed\*\* /);
  t.match(renderJoins({ ...results, runs: [run, run] })[2], /in 2 of 2 runs .*: met /);
});

t.test('figures as text', async (t) => {
  t.equal(figure(1234567.891, 1), '1 234 567.9');
  t.equal(figure(-1234), '-1 234');
  t.equal(figure(123), '123');
  t.equal(figure(NaN), '-');
  t.equal(range({ median: 0.5, least: 0.25, most: 1 }, 0, 100), '50 (25 to 100)');
  t.equal(range({ median: 7, least: 7, most: 7 }), '7');
  t.equal(table(['a', 'b'], [['x', '1']]), '| a | b |\n| --- | ---: |\n| x | 1 |');
  t.equal(verdict(true, 'at most 1'), 'met (target: at most 1)');
  t.match(verdict(false, 'at most 1'), /missed/);
  t.match(verdict(undefined, 'at most 1'), /cannot be told/);
});

t.test('viewers share addresses and never a port', async (t) => {
  const crowd = { addresses: ['10.0.0.1', '10.0.0.2', '10.0.0.3'], firstPort: 30_000 };
  const places = Array.from({ length: 100 }, (_, i) => viewerAt(crowd, i));
  t.equal(new Set(places.map(({ address, rtpPort }) => `${address}:${rtpPort}`)).size, 100);
  t.ok(places.every(({ rtpPort }) => rtpPort % 2 === 0));
  t.strictSame(places[4], { address: '10.0.0.2', rtpPort: 30_002 });
});

/** 10 packets to 2 viewers, all well. */
const GOOD: Delivery = {
  viewers: 2,
  traffic: { pps: 10, bytes: 100, burst: 1 },
  seconds: 1,
  ...{ sent: 10, entered: 10, refused: 0, handedOver: 20, dropped: 0, arrived: 20, reasons: {} },
  ...{ lost: 0, duplicated: 0, reordered: 0, leastLost: 0, mostLost: 0, passes: 1, full: 0 },
};

t.test('where packets were lost is told in the order of their way', async (t) => {
  t.ok(isExact(GOOD));
  t.equal(losses(GOOD), 'nowhere');
  for (const wrong of ['lost', 'duplicated', 'reordered'] as const) t.notOk(isExact({ ...GOOD, [wrong]: 1 }));
  t.match(losses({ ...GOOD, entered: 9 }), /^1 packets before the engine/);
  t.match(
    losses({ ...GOOD, refused: 2, handedOver: 16, arrived: 15 }),
    /^2 packets at the entrance; 1 copies after/,
  );
  const givenUp = { ...GOOD, handedOver: 19, arrived: 19, reasons: { 'ticket-lost': 1 } };
  t.match(losses(givenUp), /^1 copies never made .*; counted: ticket-lost 1$/);
});

t.test('the same packets for all: exactly those that the engine refused', async (t) => {
  const run = (delivery: Partial<Delivery>) =>
    sameForAll({ width: 0.8, deferral: true, cores: 1, delivery: { ...GOOD, ...delivery } });
  t.ok(run({ refused: 3, leastLost: 3, mostLost: 3 }));
  t.notOk(run({ refused: 3, leastLost: 2, mostLost: 3 }));
  t.notOk(run({ refused: 3, leastLost: 3, mostLost: 4 }));
  t.notOk(run({ refused: 2, leastLost: 3, mostLost: 3 }), 'somebody else lost it');
  t.notOk(run({ refused: 3, leastLost: 3, mostLost: 3, duplicated: 1 }));
});
