// SPDX-License-Identifier: Apache-2.0
// How viewers of the user-space engine begin: held back until a picture begins, or from the cache and on without a gap.
// Time and the joins' timer are the test's.
import { deepStrictEqual, equal, ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { PictureOptions } from '../../../src/control/kernel/picture-options.js';
import { BACKLOG, UserspaceFanout, type Send } from '../../../src/control/kernel/userspace-fanout.js';
import { UserspacePictures } from '../../../src/control/kernel/userspace-pictures.js';
import type { ViewerHandle } from '../../../src/control/path/ports.js';
import { BEGINNINGS, PAYLOAD_TYPE, rtpWith } from '../../fixtures/picture-cases.js';

const IDR = Buffer.from('65888400', 'hex');
const SLICE = Buffer.from('419a0000', 'hex');
const H264 = { name: 'H264', payloadType: PAYLOAD_TYPE };
const OPTIONS: PictureOptions = { holdMs: 1000, cachePackets: 1000, cacheTotalPackets: 1000 };

interface Member {
  readonly handle: ViewerHandle;
  readonly got: number[];
  /** What it must begin with, a sequence number; undefined: no picture has begun since it came. */
  begin: number | undefined;
  /** Packets that it must not get before. */
  held: number;
  readonly holdUntilMs: number;
}

class Bench {
  nowMs = 0;
  seq = 0;
  /** Sequence number of the last beginning that is still kept. */
  begun: number | undefined;
  /** Outcomes of sends are told at once, or wait here. */
  pending: Parameters<Send>[2][] | undefined;
  readonly members = new Map<number, Member>();
  readonly pictures: UserspacePictures;
  readonly fanout: UserspaceFanout;
  #tick: (() => void) | undefined;
  #ids = 1;

  constructor(options = OPTIONS) {
    const every = (_ms: number, run: () => void) => {
      ok(this.#tick === undefined, 'one timer for all');
      this.#tick = run;
      return () => (this.#tick = undefined);
    };
    this.pictures = new UserspacePictures(options, () => BigInt(this.nowMs) * 1_000_000n, every);
    const send: Send = (packet, to, sent) => {
      this.#got.get(to.port)?.push(packet.readUInt16BE(2)); // RTCP goes elsewhere
      if (this.pending) this.pending.push(sent);
      else sent(null);
    };
    this.fanout = new UserspaceFanout({ sendRtp: send, sendRtcp: send }, undefined, this.pictures.open(H264));
  }

  readonly #got = new Map<number, number[]>();

  get joining(): boolean {
    return this.#tick !== undefined;
  }

  tick(): void {
    this.#tick?.();
  }

  /** The next packet of the stream; it is kept where nobody is, too. */
  packet(begins: boolean): void {
    const seq = ++this.seq;
    if (begins) this.begun = seq;
    this.fanout.forwardRtp(rtpWith(begins ? IDR : SLICE, { seq }));
    for (const member of this.members.values())
      if (member.begin === undefined) {
        if (begins || this.nowMs >= member.holdUntilMs) member.begin = seq;
        else member.held++;
      }
  }

  join(): Member {
    const id = this.#ids++;
    const got: number[] = [];
    this.#got.set(2 * id, got);
    const begin = this.begun;
    const handle = this.fanout.add({
      id,
      localAddress: '127.0.0.1',
      address: '127.0.0.1',
      rtpPort: 2 * id,
      rtcpPort: 2 * id + 1,
    });
    const member = { handle, got, begin, held: 0, holdUntilMs: this.nowMs + OPTIONS.holdMs };
    this.members.set(id, member);
    return member;
  }

  leave(nth: number): Member | undefined {
    const [id, member] = [...this.members][nth % Math.max(1, this.members.size)] ?? [];
    if (id === undefined || !member) return undefined;
    member.handle.remove();
    this.members.delete(id);
    return member;
  }
}

/** From its beginning on without gap or duplicate, up to `last` unless it is still being served from the cache. */
function check({ got, begin, held, handle }: Member, last: number | undefined): void {
  const from = begin ?? 0;
  deepStrictEqual(
    got,
    got.map((_, i) => from + i),
  );
  if (last !== undefined) equal(got.length, begin === undefined ? 0 : last - begin + 1);
  const { packets, bytes, drops, held: counted } = handle.counters();
  deepStrictEqual([packets, bytes, drops, counted], [got.length, got.length * 16, 0, held]);
  if (handle.first) equal(handle.first.seq, begin);
}

t.test('joins and leaves while pictures flow: each begins with a picture, then all in order', (t) => {
  const step = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom('slice' as const) },
    { weight: 1, arbitrary: fc.constant('picture' as const) },
    { weight: 2, arbitrary: fc.constant('join' as const) },
    { weight: 2, arbitrary: fc.constant('tick' as const) },
    { weight: 1, arbitrary: fc.constant('burst' as const) },
    { weight: 1, arbitrary: fc.constant('later' as const) },
    { weight: 1, arbitrary: fc.nat(100) },
  );
  let cached = 0;
  const property = fc.property(fc.array(step, { minLength: 20, maxLength: 150 }), (steps) => {
    const bench = new Bench();
    for (const what of steps) {
      if (what === 'slice') bench.packet(false);
      else if (what === 'picture') bench.packet(true);
      else if (what === 'burst') for (let i = 0; i < 40; i++) bench.packet(i === 0);
      else if (what === 'tick') bench.tick();
      else if (what === 'later') bench.nowMs += 300;
      else if (what === 'join') {
        const { handle, begin, got } = bench.join();
        equal(handle.first?.seq, begin);
        equal(handle.heldBack, begin === undefined);
        if (begin !== undefined) cached++;
        ok(got.length <= 40, 'paced');
      } else {
        const member = bench.leave(what);
        if (member) check(member, undefined);
      }
      for (const member of bench.members.values()) check(member, bench.joining ? undefined : bench.seq);
      ok(bench.members.size > 0 || !bench.joining, 'no timer for nobody');
    }
    for (let i = 0; i < 10 && bench.joining; i++) bench.tick();
    ok(!bench.joining, 'nobody joins for ever');
    bench.packet(false);
    for (const member of bench.members.values()) check(member, bench.seq);
    bench.fanout.close();
    bench.pictures.close();
    ok(!bench.joining);
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 400 }));
  t.ok(cached > 100, `${cached} joined from the cache`);
  t.end();
});

t.test('held back until a picture begins, and not for ever', (t) => {
  const bench = new Bench();
  const { handle, got } = bench.join();
  t.equal(handle.heldBack, true);
  bench.packet(false);
  bench.nowMs = 999;
  bench.packet(false);
  t.same([got, handle.counters().held, handle.counters().drops], [[], 2, 0], 'withheld is not dropped');
  bench.nowMs = 1000;
  bench.packet(false);
  bench.packet(false);
  t.same(got, [3, 4], 'the time is up');
  t.equal(handle.heldBack, false);
  t.equal(handle.first, undefined);
  t.end();
});

t.test('holdMs 0 and no cache: it begins with whatever comes', (t) => {
  const bench = new Bench({ holdMs: 0, cachePackets: 0, cacheTotalPackets: 0 });
  const one = bench.join();
  bench.packet(true);
  const two = bench.join();
  bench.packet(false);
  t.same([one.got, two.got], [[1, 2], [2]]);
  t.same([two.handle.first, two.handle.heldBack], [undefined, false]);
  t.end();
});

t.test('the cache begins with the parameter sets of its picture', (t) => {
  for (const { encoding, units } of BEGINNINGS) {
    const { cache, begins } = new UserspacePictures(OPTIONS).open({ ...H264, name: encoding });
    for (const timestamp of [3000, 6000]) {
      const packets = units.map((unit, i) => rtpWith(unit, { seq: timestamp + i, timestamp }));
      for (const packet of packets) cache.keep(packet, begins(packet));
      t.equal(cache.next - cache.begin!, units.length);
      t.equal(cache.read(cache.begin!), packets[0]);
    }
  }
  t.end();
});

t.test('what the cache cannot hold is no beginning', (t) => {
  const bench = new Bench({ holdMs: 1000, cachePackets: 4, cacheTotalPackets: 4 });
  bench.join();
  bench.packet(true);
  for (let i = 0; i < 3; i++) bench.packet(false);
  t.match(bench.join().handle.first, { seq: 1 }, 'the window is full');
  bench.packet(false);
  t.equal(bench.join().handle.first, undefined, 'more than the window holds');
  bench.packet(true);
  t.match(bench.join().handle.first, { seq: 6 });
  bench.fanout.forwardRtp(rtpWith(Buffer.concat([SLICE, Buffer.alloc(1480)]), { seq: 7 }));
  t.equal(bench.join().handle.first, undefined, 'a packet too large to be kept');
  t.end();
});

t.test('a join waits for room in the socket; one that is overtaken goes on with the next picture', (t) => {
  const bench = new Bench({ holdMs: 1000, cachePackets: 64, cacheTotalPackets: 64 });
  const first = bench.join();
  bench.packet(true);
  for (let i = 1; i < 40; i++) bench.packet(false);
  bench.pending = [];
  for (let i = 0; i < BACKLOG; i++) bench.fanout.forwardRtcp(Buffer.alloc(8));
  const outstanding = bench.fanout.outstanding;
  const late = bench.join();
  t.match(late.handle.first, { seq: 1 });
  t.equal(late.got.length, BACKLOG + 2 - outstanding, 'as many as there is room for');
  const before = late.got.length;
  for (let i = 0; i < 64; i++) bench.packet(false);
  bench.tick();
  t.equal(late.got.length, before, 'no room: nothing is sent, nothing is lost');
  for (const sent of bench.pending.splice(0)) sent(null);
  bench.pending = undefined;
  bench.tick();
  t.notOk(bench.joining);
  bench.packet(false);
  bench.packet(true);
  bench.packet(false);
  t.same(late.got.slice(before), [106, 107], 'it began anew with a picture');
  t.equal(late.handle.counters().drops, 0);
  t.equal(late.handle.heldBack, false);
  t.ok(first.handle.counters().drops > 0, 'who is live loses what does not fit');
  t.end();
});

t.test('streams share the packets that may be kept', (t) => {
  const pictures = new UserspacePictures({ holdMs: 0, cachePackets: 60, cacheTotalPackets: 100 });
  const first = pictures.open(H264);
  t.equal(first.cache.size, 60);
  t.equal(pictures.open(H264).cache.size, 0, 'no room');
  t.equal(pictures.open({ name: 'PCMU', payloadType: 0 }).cache.size, 0, 'no pictures');
  first.close();
  t.equal(pictures.open(H264).cache.size, 60);
  t.end();
});
