// SPDX-License-Identifier: Apache-2.0
// Our own interface as the bottleneck, in numbers: what there is, is divided before anything is lost.
import t from 'tap';
import { divide } from '../../../src/control/layers/divide.js';
import { ladderOf } from '../../../src/control/layers/ladder.js';
import { OwnLink } from '../../../src/control/layers/own-link.js';
import { jain } from '../../fixtures/modelled-link.js';

const KBIT = 125;
const CUMULATIVE = [300, 400, 500, 600, 800, 900, 1000, 1100];
const LADDER = ladderOf(CUMULATIVE.map((rate, i) => (rate - (CUMULATIVE[i - 1] ?? 0)) * KBIT));
/** 100 Mbit/s, less what headers take of packets of 466 bytes. */
const LINK = (100_000 * KBIT * 466) / 508;

t.test('what there is, is divided evenly, and turns go round', async (t) => {
  const demands = Array.from({ length: 10 }, () => ({ rung: 7 }));
  t.same(
    divide(0, demands, LADDER, 0),
    Array.from({ length: 10 }, () => 0),
    'the base in any case',
  );
  t.same(
    divide(1e9, demands, LADDER, 0),
    Array.from({ length: 10 }, () => 7),
  );
  const budget = 5300 * KBIT; // ten at 500, and three layers of 100
  const totals = demands.map(() => 0);
  for (let turn = 0; turn < 10; turn++) {
    const rungs = divide(budget, demands, LADDER, turn);
    t.equal(rungs.filter((rung) => rung === 3).length, 3);
    t.equal(rungs.filter((rung) => rung === 2).length, 7);
    for (const [i, rung] of rungs.entries()) totals[i]! += LADDER[rung]!.rate;
  }
  t.ok(jain(totals) > 0.999, `over all turns: ${totals}`);
  const changed = (a: readonly number[], b: readonly number[]) => a.filter((rung, i) => rung !== b[i]).length;
  const little = divide(budget + 100 * KBIT, demands, LADDER, 3);
  t.equal(
    changed(divide(budget, demands, LADDER, 3), little),
    1,
    'room for one layer more changes one viewer',
  );
  const less = divide(budget, [{ rung: 0 }, ...demands.slice(1)], LADDER, 0);
  t.equal(less[0], 0, 'nobody gets more than it wants');
});

/** Viewers behind an interface that makes packets wait, in numbers. */
class OwnInterface {
  readonly link = new OwnLink();
  rungs: readonly number[];
  waitingBytes = 0;
  refused = 0;
  bytes = 0;
  nowMs = 1000;
  least = Infinity;

  constructor(
    readonly viewers: number,
    public capacity: number,
  ) {
    this.rungs = Array.from({ length: viewers }, () => 7);
  }

  /** Returns what was sent, of what could have been. */
  run(seconds: number): number {
    const before = this.bytes;
    for (let i = 0; i < seconds * 5; i++) {
      const wanted = this.rungs.reduce((sum, rung) => sum + LADDER[rung]!.rate, 0) * 0.2;
      const room = this.capacity * 0.2;
      const sent = Math.min(room, this.waitingBytes + wanted);
      this.waitingBytes += wanted - sent;
      const most = 0.74 * wanted * 5; // 200 tickets of 271 packets/s
      if (this.waitingBytes > most) {
        this.waitingBytes = most;
        this.refused++;
      }
      this.bytes += sent;
      this.nowMs += 200;
      const waitingSeconds = this.waitingBytes / (wanted * 5);
      const reading = { nowMs: this.nowMs, waitingSeconds, refused: this.refused, bytes: this.bytes };
      const rested = this.link.rest(waitingSeconds);
      const demands = this.rungs.map(() => ({ rung: 7 }));
      this.rungs = (rested ? undefined : this.link.look(reading, demands, LADDER)) ?? demands.map(() => 7);
    }
    return (this.bytes - before) / (seconds * this.capacity);
  }
}

t.test('our own interface: full once, then used without losing anything', async (t) => {
  for (const viewers of [90, 120, 160]) {
    const own = new OwnInterface(viewers, LINK);
    own.run(20);
    const { refused } = own;
    const used = own.run(60);
    t.equal(own.refused, refused, `${viewers} viewers: nothing is refused any more`);
    t.ok(used > 0.9 * Math.min(1, (viewers * 1100 * KBIT) / LINK), `used ${used}`);
    t.ok(Math.max(...own.rungs) - Math.min(...own.rungs) <= 1, 'evenly');
  }
  const wide = new OwnInterface(80, LINK);
  wide.run(60);
  t.same(new Set(wide.rungs), new Set([7]), 'where there is room nobody is thinned');
});

t.test('our own interface: one viewer, 2, 0.4, 2 Mbit/s', async (t) => {
  const own = new OwnInterface(1, 2000 * KBIT);
  own.run(10);
  t.same(own.rungs, [7]);
  own.capacity = 400 * KBIT;
  own.run(8);
  const { refused } = own;
  let tries = 0;
  for (let i = 0; i < 52; i++) {
    const before = own.rungs[0]!;
    own.run(1);
    if (own.rungs[0]! < before) tries++; // in vain
  }
  t.ok(tries <= 1, `tried ${tries} times within a minute`);
  t.equal(own.refused, refused, 'nothing is lost by trying');
  own.capacity = 2000 * KBIT;
  own.run(110);
  t.same(own.rungs, [7], 'all again within two minutes');
});

t.test('our own interface: it stands still for two seconds', async (t) => {
  for (const viewers of [1, 100]) {
    const own = new OwnInterface(viewers, 0);
    own.run(2);
    t.same(new Set(own.rungs), new Set([0]));
    own.capacity = viewers * 2000 * KBIT;
    own.run(110);
    t.same(new Set(own.rungs), new Set([7]), `${viewers} viewers: all again within two minutes`);
  }
});

t.test('our own interface: what has been given is not taken again because a rate has risen', async (t) => {
  const ladders = [1, 1.06].map((factor) => ladderOf([150, 300, 550].map((rate) => rate * KBIT * factor)));
  const link = new OwnLink();
  const bytesPerLook = 400 * KBIT * 0.2;
  const given: number[] = [];
  for (let i = 0; i < 500; i++) {
    const isFull = i < 10; // then there is room for everything, found in steps
    const waitingSeconds = isFull ? 0.3 : 0;
    const reading = {
      nowMs: 1000 + 200 * i,
      waitingSeconds,
      refused: isFull ? i : 10,
      bytes: bytesPerLook * i,
    };
    const rung =
      (link.rest(waitingSeconds) ? undefined : link.look(reading, [{ rung: 2 }], ladders[i % 2]!))?.[0] ?? 2;
    if (!isFull) given.push(rung);
  }
  t.equal(given[0], 0);
  t.equal(given.at(-1), 2);
  t.ok(given.includes(1));
  t.ok(
    given.every((rung, i) => rung >= (given[i - 1] ?? 0)),
    `${given.filter((rung, i) => rung !== given[i - 1])}`,
  );
});
