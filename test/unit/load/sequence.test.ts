// SPDX-License-Identifier: Apache-2.0
// Lost, duplicated and reordered packets as the test viewer counts them, against the plain definition.
import fc from 'fast-check';
import t from 'tap';
import { Sequence } from '../../../tools/load/sequence.js';

function note(...numbers: number[]) {
  const sequence = new Sequence();
  for (const n of numbers) sequence.note(n & 0xffff);
  const { packets, lost, duplicated, reordered, old, expected, extendedHighest } = sequence;
  return { packets, lost, duplicated, reordered, old, expected, extendedHighest };
}

t.test('each kind of fault by itself', async (t) => {
  t.match(note(), { packets: 0, lost: 0, expected: 0, extendedHighest: undefined });
  t.match(note(5, 6, 7), { lost: 0, duplicated: 0, reordered: 0, old: 0, expected: 3, extendedHighest: 7 });
  t.match(note(5, 8), { lost: 2, expected: 4 });
  t.match(note(5, 6, 6, 5, 7), { lost: 0, duplicated: 2, reordered: 0 });
  t.match(note(5, 7, 6, 8), { lost: 0, duplicated: 0, reordered: 1 });
  t.match(note(5, 4, 6), { lost: 0, reordered: 1, expected: 3 }, 'before the first');
  t.match(note(5000, 100), { lost: 0, old: 1, reordered: 0 });
  t.match(note(65_534, 65_535, 0, 1), { lost: 0, expected: 4, extendedHighest: 65_537 }, 'across the wrap');
});

t.test('any order of near packets, some twice, some never, over several wraps', async () => {
  const moves = fc.array(
    fc.record({ keep: fc.boolean(), again: fc.boolean(), delay: fc.integer({ min: 0, max: 200 }) }),
    { minLength: 1, maxLength: 300 },
  );
  fc.assert(
    fc.property(fc.nat(70_000), moves, (first, list) => {
      const arrivals = list
        .flatMap(({ keep, again, delay }, i) =>
          [
            keep && { n: first + i, at: i + delay },
            keep && again && { n: first + i, at: i + delay + 50 },
          ].filter((x) => x !== false),
        )
        .sort((a, b) => a.at - b.at)
        .map(({ n }) => n);
      const seen = new Set<number>();
      let highest = -1;
      let reordered = 0;
      for (const n of arrivals) {
        if (!seen.has(n) && n < highest) reordered++;
        seen.add(n);
        highest = Math.max(highest, n);
      }
      const span = seen.size ? highest - Math.min(...seen) + 1 : 0;
      const got = note(...arrivals);
      return (
        got.packets === arrivals.length &&
        got.lost === span - seen.size &&
        got.duplicated === arrivals.length - seen.size &&
        got.reordered === reordered &&
        got.old === 0 &&
        got.expected === span
      );
    }),
  );
});
