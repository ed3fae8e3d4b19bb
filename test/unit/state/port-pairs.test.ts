// SPDX-License-Identifier: Apache-2.0
// The allocator of UDP port pairs: order, exhaustion, wrong use.
import { equal, ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { DEFAULT_PORT_RANGE, PortPairs, PortsExhausted } from '../../../src/control/state/port-pairs.js';

t.test('walks upwards, round again, and ends in a clear error', (t) => {
  const pairs = new PortPairs({ first: 1001, last: 1008 });
  t.same(
    [pairs.take(), pairs.take(), pairs.take()],
    [1002, 1004, 1006],
    'even, with the odd one still in the range',
  );
  t.throws(() => pairs.take(), new PortsExhausted({ first: 1001, last: 1008 }));
  pairs.release(1004);
  pairs.release(1002);
  t.equal(pairs.take(), 1002);
  pairs.release(1002);
  t.equal(pairs.take(), 1004, 'the one given back last is not the next');
  t.throws(() => pairs.release(1002), RangeError, 'not taken');
  t.throws(() => pairs.release(1005), RangeError, 'odd');
  t.throws(() => pairs.release(5000), RangeError, 'of another range');
  t.equal(new PortPairs().take(), DEFAULT_PORT_RANGE.first);
  for (const [first, last] of [
    [0, 9],
    [9, 9],
    [10, 10],
    [9, 10],
    [20, 10],
    [65534, 65536],
    [1.5, 9],
    [NaN, 9],
  ] as const)
    t.throws(() => new PortPairs({ first, last }), RangeError, `${first}-${last}`);
  t.equal(new PortPairs({ first: 65534, last: 65535 }).take(), 65534);
  t.end();
});

t.test('never the same pair twice at once', (t) => {
  const property = fc.property(fc.array(fc.nat(20), { maxLength: 200 }), (steps) => {
    const pairs = new PortPairs({ first: 100, last: 119 });
    const held: number[] = [];
    for (const step of steps) {
      if (step < held.length) pairs.release(held.splice(step, 1)[0]!);
      else if (held.length < 10) {
        const port = pairs.take();
        ok(port % 2 === 0 && port >= 100 && port <= 118 && !held.includes(port));
        held.push(port);
      }
      equal(pairs.free, 10 - held.length);
    }
  });
  t.doesNotThrow(() => fc.assert(property));
  t.end();
});
