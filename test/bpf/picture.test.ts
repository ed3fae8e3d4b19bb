// SPDX-License-Identifier: Apache-2.0
// Beginning with a picture: which packets count, how long a viewer is held back, and joining from the picture cache.
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Codec } from '../../src/control/kernel/abi.gen.js';
import { codecOf } from '../../src/control/kernel/codec.js';
import { KernelBench } from '../fixtures/kernel-bench.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { udpFrame } from '../fixtures/packets.js';
import {
  BEGINNINGS,
  IDR,
  PAYLOAD_TYPE,
  payloadOf,
  PICTURE_CASES,
  rtpWith,
  SLICE,
} from '../fixtures/picture-cases.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const LONG_MS = 600_000;

/** A bench whose streams have that codec and whose viewers are held back. */
async function bench(codec: number, holdMs = LONG_MS): Promise<KernelBench> {
  const made = await KernelBench.create();
  made.codec = { codec, payloadType: PAYLOAD_TYPE, cache: { first: 0, size: 256 } };
  made.holdMs = holdMs;
  return made;
}

t.test('each payload of the table', { skip }, async (t) => {
  for (const row of PICTURE_CASES) {
    const b = await KernelBench.shared();
    b.codec = {
      codec: codecOf({ name: row.encoding }),
      payloadType: PAYLOAD_TYPE,
      cache: { first: 0, size: 0 },
    };
    b.holdMs = LONG_MS;
    const stream = b.open();
    const begins = (packet: Buffer) => {
      const viewer = b.add(stream, 1);
      b.ingress(udpFrame(packet));
      const { packets, held } = b.state.viewer(viewer.slot);
      viewer.remove();
      return packets === 1 && held === 0
        ? true
        : packets === 0 && held === 1
          ? false
          : `${packets} sent, ${held} held`;
    };
    const name = `${row.encoding} ${row.name}`;
    const payload = payloadOf(row);
    t.equal(begins(rtpWith(payload)), row.begins, name);
    t.equal(
      begins(rtpWith(payload, { csrcs: 3, extensionWords: 2 })),
      row.begins,
      `${name}, behind CSRCs and extension`,
    );
    t.equal(begins(rtpWith(payload, { payloadType: 97 })), false, `${name}, another payload type`);
    for (let length = 0; length < payload.length; length++)
      if (typeof begins(rtpWith(payload.subarray(0, length))) !== 'boolean')
        t.fail(`${name}, ${length} bytes`);
    b.state.commands.close(stream);
  }
  await (await KernelBench.shared()).close();
});

t.test('a viewer is held back, and not for ever', { skip }, async (t) => {
  const b = await bench(Codec.H264, 50);
  const stream = b.open();
  const viewer = b.add(stream, 1);
  const slice = (seq: number) => b.ingress(udpFrame(rtpWith(SLICE, { seq })));
  slice(1);
  t.match(b.state.viewer(viewer.slot), { packets: 0, held: 1, drops: 0 });
  await new Promise((resolve) => setTimeout(resolve, 60));
  slice(2);
  slice(3);
  t.match(b.state.viewer(viewer.slot), { packets: 2, held: 1, drops: 0 }, 'the time is up');
  const other = b.add(stream, 2);
  b.ingress(udpFrame(rtpWith(IDR, { seq: 4 })));
  slice(5);
  t.match(b.state.viewer(other.slot), { packets: 2, held: 0 });
  t.same(b.drops(), {}, 'none of it is a drop');
  await b.close();
});

t.test('the cache holds what came since the last beginning', { skip }, async (t) => {
  const b = await bench(Codec.H264, 0);
  const stream = b.open();
  const window = b.codec.cache;
  t.equal(b.state.tickets(stream).begin, undefined);
  b.ingress(udpFrame(rtpWith(IDR, { seq: 1 })));
  const first = b.state.tickets(stream);
  t.equal(first.next - first.begin!, 1, 'nobody plays: it is kept all the same');
  t.match(b.state.cache.read(window, first.begin!), { is: 'packet', bytes: rtpWith(IDR, { seq: 1 }) });
  t.same(b.drops(), { 'no-viewer': 1 });
  b.add(stream, 1);
  const send = (payload: Buffer, seq: number) => b.ingress(udpFrame(rtpWith(payload, { seq })));
  send(SLICE, 2);
  send(IDR, 3);
  send(SLICE, 4);
  const { begin, next } = b.state.tickets(stream);
  t.equal(next - begin!, 2);
  const kept = [begin!, begin! + 1].map((ticket) => b.state.cache.read(window, ticket));
  t.same(
    kept.map((k) => k.is === 'packet' && k.bytes),
    [rtpWith(IDR, { seq: 3 }), rtpWith(SLICE, { seq: 4 })],
  );
  t.equal(b.state.cache.read(window, next).is, 'pending', 'what is to come');
  send(IDR, 5);
  t.equal(b.state.tickets(stream).begin, begin! + 2, 'a new picture, a new beginning');
  for (let seq = 6; seq < 6 + 255; seq++) send(SLICE, seq);
  t.equal(b.state.tickets(stream).begin, begin! + 2, 'the window is full');
  send(SLICE, 300);
  t.equal(b.state.tickets(stream).begin, undefined, 'more than the window holds');
  t.equal(b.state.cache.read(window, begin! + 2).is, 'overwritten');
  await b.close();
});

t.test('the cache begins with the parameter sets of its picture', { skip }, async (t) => {
  for (const { encoding, units } of BEGINNINGS) {
    const b = await bench(codecOf({ name: encoding }), 0);
    const stream = b.open();
    const window = b.codec.cache;
    for (const timestamp of [3000, 6000]) {
      const packets = units.map((unit, i) => rtpWith(unit, { seq: timestamp + i, timestamp }));
      for (const packet of packets) b.ingress(udpFrame(packet));
      const { begin, next } = b.state.tickets(stream);
      t.equal(next - begin!, units.length);
      t.match(b.state.cache.read(window, begin!), { is: 'packet', bytes: packets[0]! });
    }
    await b.close();
  }
});

t.test('what an entry cannot hold is told as lost, and nobody waits for it', { skip }, async (t) => {
  const b = await bench(Codec.H264, 0);
  const stream = b.open();
  b.ingress(udpFrame(rtpWith(IDR, { seq: 1 })));
  const { begin } = b.state.tickets(stream);
  b.ingress(udpFrame(rtpWith(Buffer.concat([SLICE, Buffer.alloc(1500)]), { seq: 2 })));
  t.equal(b.state.tickets(stream).begin, undefined);
  t.equal(b.state.cache.read(b.codec.cache, begin! + 1).is, 'overwritten');
  await b.close();
});

t.test('add from a ticket on is refused when packets have come since', { skip }, async (t) => {
  const b = await bench(Codec.H264, 0);
  const stream = b.open();
  b.add(stream, 1);
  b.ingress(udpFrame(rtpWith(IDR, { seq: 1 })));
  const { next } = b.state.tickets(stream);
  b.ingress(udpFrame(rtpWith(SLICE, { seq: 2 })));
  t.throws(() => b.add(stream, 2, b.outlet, next), { code: 'EAGAIN' });
  const viewer = b.add(stream, 2, b.outlet, next + 1);
  b.ingress(udpFrame(rtpWith(SLICE, { seq: 3 })));
  t.match(b.state.viewer(viewer.slot), { packets: 1 });
  await b.close();
});
