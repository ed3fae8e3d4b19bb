// SPDX-License-Identifier: Apache-2.0
// The fan-out of the user-space engine without sockets: rotation, membership, bounded backlog, what errors count as.
import { deepStrictEqual, ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { DROP_REASONS } from '../../../src/control/kernel/drop-reasons.js';
import { BACKLOG, UserspaceFanout, type Send } from '../../../src/control/kernel/userspace-fanout.js';
import { UserspaceViewer } from '../../../src/control/kernel/userspace-viewer.js';
import type { ViewerHandle, ViewerSpec } from '../../../src/control/path/ports.js';

/** Viewer `id` listens on the ports 2 * id and 2 * id + 1. */
function viewer(id: number): ViewerSpec {
  return { id, localAddress: '127.0.0.1', address: '127.0.0.1', rtpPort: 2 * id, rtcpPort: 2 * id + 1 };
}

function senders(send: Send) {
  return { sendRtp: send, sendRtcp: send };
}

const PACKET = Buffer.alloc(100);

t.test('9000 packets, 90 viewers: each is first 100 times, the order is kept, nobody is left out', (t) => {
  let order: number[] = [];
  const fanout = new UserspaceFanout(
    senders((_packet, to, sent) => {
      order.push(to.port);
      sent(null);
    }),
  );
  const viewers = Array.from({ length: 90 }, (_, i) => fanout.add(viewer(i + 1)));
  const first = new Map<number, number>();
  let rounds = 0;
  for (let packet = 0; packet < 9000; packet++) {
    order = [];
    fanout.forwardRtp(PACKET);
    first.set(order[0]!, (first.get(order[0]!) ?? 0) + 1);
    if (order.every((port, i) => port === 2 * (((packet + i) % 90) + 1)) && order.length === 90) rounds++;
    if (packet % 100 === 0) fanout.forwardRtcp(PACKET); // moves nothing on
  }
  t.equal(rounds, 9000, 'every round begins one viewer later');
  t.same([...first.values()], Array(90).fill(100));
  for (const v of viewers)
    t.match(v.counters(), { packets: 9000, bytes: 900_000, rtcpPackets: 90, drops: 0, held: 0 });
  t.end();
});

t.test(
  'joins and leaves: each packet once to each member, and nobody waits longer than a round to be first',
  (t) => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constant('packet' as const) },
      { weight: 1, arbitrary: fc.constant('join' as const) },
      { weight: 1, arbitrary: fc.nat(100) },
    );
    const property = fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      let sentTo: number[] = [];
      const fanout = new UserspaceFanout(
        senders((_packet, to, sent) => {
          sentTo.push(to.port / 2);
          sent(null);
        }),
      );
      const members = new Map<number, ViewerHandle>();
      const waits = new Map<number, number>();
      let next = 1;
      for (const what of steps) {
        if (what === 'join') {
          members.set(next, fanout.add(viewer(next)));
          waits.set(next++, 0);
        } else if (what !== 'packet') {
          const id = [...members.keys()][what % Math.max(1, members.size)];
          if (id === undefined) continue;
          members.get(id)!.remove();
          members.delete(id);
          waits.delete(id);
        } else {
          sentTo = [];
          fanout.forwardRtp(PACKET);
          deepStrictEqual(
            [...sentTo].sort((a, b) => a - b),
            [...members.keys()],
          );
          for (const id of members.keys()) {
            const waited = id === sentTo[0] ? 0 : waits.get(id)! + 1;
            waits.set(id, waited);
            // Each packet moves the turn on by one viewer, and only a join can put a turn off, by one.
            ok(waited < next, `viewer ${id} waited ${waited} packets after ${next - 1} joins`);
          }
        }
      }
      ok(fanout.viewers === members.size);
    });
    t.doesNotThrow(() => fc.assert(property, { numRuns: 300 }));
    t.end();
  },
);

t.test('who is removed while a packet is being served gets nothing more of it', (t) => {
  const got: number[] = [];
  const gone: number[] = [];
  const fanout = new UserspaceFanout(
    senders((_packet, to, sent) => {
      got.push(to.port / 2);
      if (to.port === 4) for (const id of [1, 3]) handles[id - 1]!.remove();
      sent(null);
    }),
  );
  const handles = [1, 2, 3, 4].map((id) => fanout.add(viewer(id), () => gone.push(id)));
  fanout.forwardRtp(PACKET);
  t.same(got, [1, 2, 4]);
  fanout.forwardRtp(PACKET);
  t.same(got, [1, 2, 4, 2, 4], 'viewer 2 is next, as if nobody had left');
  handles[0]!.remove();
  t.same(gone, [1, 3], 'told once');
  t.throws(() => fanout.add(viewer(2)), /viewer 2 is here already/);
  fanout.close();
  t.same([gone, fanout.viewers], [[1, 3, 2, 4], 0]);
  fanout.forwardRtp(PACKET);
  fanout.forwardRtcp(PACKET);
  t.equal(got.length, 5);
  t.end();
});

t.test('the backlog is bounded, and every refusal is counted with its reason', (t) => {
  const pending: Parameters<Send>[2][] = [];
  const reasons: Record<string, number> = {};
  const fanout = new UserspaceFanout(
    senders((_packet, _to, sent) => pending.push(sent)),
    (reason) => (reasons[reason] = (reasons[reason] ?? 0) + 1),
  );
  const handles = [1, 2].map((id) => fanout.add(viewer(id)));
  const rounds = BACKLOG / 2 + 1;
  for (let i = 0; i < rounds; i++) fanout.forwardRtp(PACKET);
  t.same([fanout.outstanding, reasons], [BACKLOG + 2, {}], 'as many as fit');
  for (let i = 0; i < 10; i++) fanout.forwardRtp(PACKET);
  t.equal(pending.length, BACKLOG + 2);
  t.same(reasons, { 'egress-refused': 20 });
  const outcomes = [null, 'EMSGSIZE', 'ENOBUFS', 'ENETUNREACH', 'ECANCELED', null] as const;
  for (const code of outcomes) pending.shift()!(code && Object.assign(new Error(code), { code }));
  t.same(reasons, { 'egress-refused': 21, 'too-big': 1, 'egress-error': 2 });
  for (const reason of Object.keys(reasons))
    t.ok(DROP_REASONS.includes(reason), `${reason} is one of the ABI`);
  fanout.forwardRtcp(PACKET);
  t.equal(pending.length, BACKLOG + 2 - 6 + 2, 'there is room again');
  for (const sent of pending.splice(0)) sent(null);
  t.equal(fanout.outstanding, 0);
  const counters = handles.map((h) => h.counters());
  const sum = (field: 'packets' | 'bytes' | 'rtcpPackets' | 'drops') =>
    counters.reduce((n, c) => n + c[field], 0);
  t.same([sum('packets'), sum('rtcpPackets'), sum('drops')], [BACKLOG + 2 - 4, 2, 24]);
  t.equal(sum('bytes'), sum('packets') * PACKET.length);
  t.end();
});

t.test('a viewer keeps what it last reported', (t) => {
  const made = new UserspaceViewer(viewer(1), () => {});
  t.equal(made.lastLoss, undefined);
  made.loss({ fraction: 3, cumulative: -1, jitter: 9 });
  t.same(made.lastLoss, { fraction: 3, cumulative: -1, jitter: 9 });
  t.end();
});
