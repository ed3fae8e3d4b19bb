// SPDX-License-Identifier: Apache-2.0
// The pure tables: pending requests, deadlines, descriptions, sessions, destinations, counts, positions.
import t from 'tap';
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { ChurnMap, ChurnSet } from '../../../src/control/state/churn.js';
import { Deadlines, TICK_MS } from '../../../src/control/state/deadlines.js';
import { Destinations } from '../../../src/control/state/destinations.js';
import { ExpiringLru } from '../../../src/control/state/expiring-lru.js';
import { PendingRequests } from '../../../src/control/state/pending.js';
import { nptOf } from '../../../src/control/state/position.js';
import { SessionTable } from '../../../src/control/state/session-table.js';
import { Holders, Tally } from '../../../src/control/state/tally.js';

t.test('pending: answers come in the order of the requests, by CSeq or without', async (t) => {
  const pending = new PendingRequests<{ cseq: number; optional: boolean }>(4);
  const push = (cseq: number, optional = false) => pending.push({ cseq, optional });
  for (const cseq of [1, 2, 3, 4]) t.ok(push(cseq));
  t.notOk(push(5), 'bounded');
  t.equal(pending.answer(1), undefined, 'not sent yet');
  for (const cseq of [1, 2, 3]) t.equal(pending.takeUnsent()!.cseq, cseq);
  t.equal(pending.answer(2), undefined, 'out of order');
  t.equal(pending.answer(1)!.cseq, 1);
  t.equal(pending.answer(undefined)!.cseq, 2);
  t.equal(pending.answer(1), undefined, 'answered already');
  t.equal(pending.answer(4), undefined, 'not sent yet');
  t.same(pending.drain().map(({ cseq }) => cseq), [3, 4]); // prettier-ignore
  t.equal(pending.size, 0);
});

t.test('pending: what nobody waits for is passed over, and makes room', async (t) => {
  const pending = new PendingRequests<{ cseq: number; optional: boolean }>(2);
  pending.push({ cseq: 1, optional: true });
  pending.push({ cseq: 2, optional: false });
  pending.takeUnsent();
  pending.takeUnsent();
  t.equal(pending.isLate(1), false);
  t.equal(pending.answer(2)!.cseq, 2);
  t.equal(pending.isLate(1), true, 'it may still come');
  t.equal(pending.isLate(2), false);
  t.equal(pending.size, 0);
  for (let cseq = 3; cseq < 1000; cseq++) {
    t.ok(pending.push({ cseq, optional: true }) || cseq < 0);
    pending.takeUnsent();
  }
  t.equal(pending.size, 2, 'a source that never answers keep-alives fills nothing');
  t.equal(pending.answer(999)!.cseq, 999);
  t.same([pending.isLate(998), pending.isLate(900)], [true, false], 'as long as that may be');
});

t.test('pending: every interleaving of pushing, sending and answering keeps the order', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('push', 'send', 'answer'), { maxLength: 400 }), (steps) => {
      const pending = new PendingRequests<{ cseq: number; optional: boolean }>(100);
      let [pushed, sent, answered] = [0, 0, 0];
      for (const step of steps) {
        if (step === 'push' && pending.push({ cseq: pushed + 1, optional: false })) pushed++;
        if (step === 'send' && pending.takeUnsent()) sent++;
        if (step === 'answer' && pending.answer(answered + 1)?.cseq === answered + 1) answered++;
      }
      return answered <= sent && sent <= pushed && pending.size === pushed - answered;
    }),
  );
  t.pass();
});

t.test('deadlines: never early, at most a tick late, in any order, cancelled or not', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 300_000 }), { maxLength: 50 }), (delays) => {
      let now = 12_345;
      const deadlines = new Deadlines(() => now);
      const late: number[] = [];
      delays.forEach((delay) => {
        const due = now + delay;
        deadlines.in(delay, () => late.push(now - due));
        deadlines.in(delay, () => late.push(Infinity)).cancel();
      });
      for (let i = 0; i < 300_000 / TICK_MS + 2; i++) {
        now += TICK_MS;
        deadlines.advance();
      }
      return (
        late.length === delays.length &&
        late.every((ms) => ms >= 0 && ms <= 2 * TICK_MS) &&
        deadlines.size === 0
      );
    }),
    { numRuns: 20 },
  );
  let now = 0;
  const deadlines = new Deadlines(() => now);
  const ran: string[] = [];
  const again = () => {
    ran.push('again');
    deadlines.in(0, again);
  };
  const victim = deadlines.in(200, () => ran.push('victim'));
  deadlines.in(100, () => victim.cancel());
  deadlines.in(0, again);
  now = 86_400_000; // the host was suspended
  deadlines.advance();
  t.same(ran, ['again'], 'one that arms itself again waits for the next tick');
  t.equal(deadlines.size, 1);
});

t.test('descriptions: bounded, oldest use goes first, expired ones are gone', async (t) => {
  const lru = new ExpiringLru<number>(2, 1000);
  lru.set('a', 1, 0);
  lru.set('b', 2, 0);
  lru.get('a', 1);
  lru.set('c', 3, 1);
  t.same(['a', 'b', 'c'].map((key) => lru.get(key, 2)), [1, undefined, 3]); // prettier-ignore
  t.equal(lru.get('a', 1000), undefined);
  t.equal(lru.size, 1);
});

t.test('sessions: identifiers that cannot be guessed, numbers that are not used again', async (t) => {
  const ids = [Buffer.alloc(8), Buffer.alloc(8), Buffer.alloc(8, 1)];
  const table = new SessionTable<{ id: string; number: number; address: string }>(
    { inAll: 4, perAddress: 2 },
    () => ids.shift() ?? randomBytes(8),
  );
  const open = (address = '192.0.2.1') => table.open((id, number) => ({ id, number, address }));
  const [a, b] = [open(), open()];
  t.equal(a.id, '0000000000000000');
  t.equal(b.id, '0101010101010101', 'one that is taken is drawn again');
  t.equal(table.full('192.0.2.1'), 'of the address');
  t.equal(table.full('192.0.2.2'), undefined);
  table.remove(a);
  table.remove(a);
  t.equal(table.get(a.id), undefined);
  t.equal(table.full('192.0.2.1'), undefined);
  t.equal(open().number, 3);
  t.equal(table.numbered(2), b);
  t.equal(table.all().length, 2);
  table.restore({ id: 'x', number: 9, address: '2001:db8::1' });
  table.restore({ id: 'y', number: 7, address: '2001:db8::2' });
  t.equal(table.full('2001:db8::3'), 'in all');
  table.remove(b);
  t.equal(table.full('2001:db8::3'), 'of the address', 'a host has a /64 at will');
  t.equal(open('192.0.2.3').number, 10);
});

t.test('destinations: both ports or none, and only once', async (t) => {
  const table = new Destinations<string>();
  t.ok(table.claim('h', [10, 11], 'a'));
  t.notOk(table.claim('h', [9, 10], 'b'));
  t.equal(table.owner('h', 9), undefined, 'nothing of a refused claim stays');
  t.ok(table.claim('i', [10, 11], 'b'));
  t.equal(table.owner('h', 11), 'a');
  table.release('h', [10, 11]);
  table.release('i', [10, 11]);
  t.equal(table.size, 0);
});

t.test('counts', async (t) => {
  const tally = new Tally();
  tally.add('x');
  tally.add('x');
  t.same(tally.toObject(), { x: 2 });
  t.equal(tally.get('y'), 0);
  const holders = new Holders(2);
  t.same(
    [holders.enter('a'), holders.enter('a'), holders.enter('a'), holders.enter('b')],
    [true, true, false, true],
  );
  for (const key of ['a', 'a', 'b', 'b']) holders.leave(key);
  t.equal(holders.size, 0);
});

t.test('positions: across wraps of the timestamp, never before the start', async (t) => {
  const start = { nptSeconds: 10, rtpTime: 0xffff_ffff - 44_999, clockRate: 90_000, atMs: 0 };
  t.equal(nptOf(start, 45_000, 1000), 11, 'the timestamp has wrapped');
  t.equal(nptOf(start, start.rtpTime, 5), 10);
  t.equal(nptOf(start, start.rtpTime - 900, 5), 10, 'a packet from before');
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.integer({ min: 0, max: 10_000_000 }),
      (rtpTime, seconds) => {
        const late = { ...start, rtpTime };
        const now = Number((BigInt(rtpTime) + BigInt(seconds) * 90_000n) % (1n << 32n));
        return Math.abs(nptOf(late, now, seconds * 1000 + 300) - 10 - seconds) < 1e-6;
      },
    ),
  );
});

t.test('for what comes and goes: as Map and Set, whatever is done', async (t) => {
  const step = fc.tuple(fc.constantFrom('add', 'delete', 'clear'), fc.nat(7));
  const members = Array.from({ length: 8 }, (_, index) => ({ index }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const [set, map] = [new ChurnSet<object>(), new ChurnMap<number, object>()];
      const [wantedSet, wantedMap] = [new Set<object>(), new Map<number, object>()];
      for (const [what, index] of steps) {
        const member = members[index]!;
        if (what === 'clear' && index > 0) continue; // seldom
        if (what === 'clear') for (const each of [set, map, wantedSet, wantedMap]) each.clear();
        else if (what === 'add') {
          for (const each of [set, wantedSet]) each.add(member);
          for (const each of [map, wantedMap]) each.set(index, member);
        } else {
          if (set.delete(member) !== wantedSet.delete(member)) return false;
          if (map.delete(index) !== wantedMap.delete(index)) return false;
        }
      }
      t.same([...set], [...wantedSet]);
      t.same([...map.values()], [...wantedMap.values()]);
      t.same([...map.keys()], [...wantedMap.keys()]);
      t.same([set.size, map.size], [wantedSet.size, wantedMap.size]);
      return members.every(
        (member, i) => set.has(member) === wantedSet.has(member) && map.get(i) === wantedMap.get(i),
      );
    }),
  );
});

t.test('who is deleted while the others are visited is left out', async (t) => {
  const [a, b, c] = [{ is: 'a' }, { is: 'b' }, { is: 'c' }];
  const [set, seen] = [new ChurnSet<typeof a>().add(a).add(b).add(c), [] as string[]];
  for (const member of set) {
    seen.push(member.is);
    set.delete(a);
    set.delete(b);
  }
  t.same(seen, ['a', 'c']);
});
