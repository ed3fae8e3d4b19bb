// SPDX-License-Identifier: Apache-2.0
// Viewers of the load generator who have their media within the RTSP connection: what they count, and what they report.
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { parseCompound } from '../../../src/control/rtcp/compound.js';
import { Framer } from '../../../src/control/rtsp/framer.js';
import { frameOf } from '../../../src/control/rtsp/interleaved.js';
import { serialize } from '../../../src/control/rtsp/serialize.js';
import { Crowd } from '../../../tools/load/crowd.js';
import { until } from '../../../tools/netns/wait.js';
import { fakeSource } from '../../fixtures/fake-source.js';

const SSRC = 0x00c0ffee;

function rtp(seq: number): Buffer {
  const packet = Buffer.alloc(20);
  packet.writeUInt16BE(0x8060, 0);
  packet.writeUInt16BE(seq & 0xffff, 2);
  packet.writeUInt32BE(SSRC, 8);
  return packet;
}

/** Each viewer's connection once it plays, and the RTCP that came by it. */
async function server(t: Test) {
  const script = fakeSource();
  const playing: Socket[] = [];
  const reports: { channel: number; packet: Buffer }[] = [];
  const listener = createServer((socket) => {
    const framer = new Framer();
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      framer.push(chunk);
      for (let item = framer.next(); item; item = framer.next()) {
        if (item.kind === 'frame') reports.push({ channel: item.channel, packet: item.payload });
        if (item.kind !== 'request') continue;
        const answer = script(item)!;
        answer.headers.set('CSeq', item.headers.get('CSeq')!);
        socket.write(serialize(answer));
        if (item.method === 'PLAY') playing.push(socket);
      }
    });
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.teardown(() => (playing.forEach((socket) => socket.destroy()), listener.close()));
  return { url: `rtsp://127.0.0.1:${(listener.address() as AddressInfo).port}/x`, playing, reports };
}

const crowd = (url: string, viewers: number, reportMs?: number) =>
  new Crowd({
    ...{ url, viewers, transport: 'tcp', rate: 1000, addresses: [], receive: false, reportMs },
    ...{ ports: { low: 20_000, high: 59_999 }, timeoutMs: 5000 },
  });

t.test('lost, duplicated, reordered, whatever the pieces are', async (t) => {
  const { url, playing } = await server(t);
  const viewers = crowd(url, 3);
  await viewers.join();
  t.match(viewers.summary(), { joined: 3, failures: {} });
  const [first, second] = playing as [Socket, Socket];
  const bytes = Buffer.concat([10, 11, 14, 13, 13, 65_536 + 15].map((seq) => frameOf(0, rtp(seq))));
  for (const byte of bytes) first.write(Buffer.from([byte]));
  second.write(Buffer.concat([frameOf(0, rtp(1)), frameOf(2, rtp(7)), frameOf(9, rtp(8))]));
  let got = await viewers.got();
  let packets = got.packets;
  await until('them to have read it', async () => (packets += (await viewers.got()).packets) >= 8);
  const all = await viewers.gotInAll();
  t.match(all, { packets: 8, bytes: 8 * 20, lost: 1, duplicated: 1, reordered: 1, losses: [1, 0, 0] });
  t.equal(all.nothing, 3, 'of three times picture and sound that many got none');
  second.write(frameOf(0, rtp(3)));
  await until('one more', async () => (got = await viewers.got()).packets > 0);
  t.match(got, { packets: 1, lost: 1, nothing: 5 }, 'since the reading before');
  await viewers.leave();
  t.match(viewers.summary().failures, {}, 'they say goodbye');
});

t.test('reports go by the RTCP channel and tell what was lost', async (t) => {
  const { url, playing, reports } = await server(t);
  const viewers = crowd(url, 1, 30);
  await viewers.join();
  playing[0]!.write(Buffer.concat([frameOf(0, rtp(5)), frameOf(0, rtp(8))]));
  const last = await until('a report of the loss', () => {
    const parsed = reports.filter(({ channel }) => channel === 1).map(({ packet }) => parseCompound(packet));
    return parsed
      .flatMap((one) => (one.ok ? one.packets : []))
      .find((one) => 'blocks' in one && one.blocks.length);
  });
  t.match(last, { blocks: [{ ssrc: SSRC, cumulative: 2, fraction: 128, extendedMaxSeq: 8 }] });
  t.ok(
    reports.some(({ channel }) => channel === 3),
    'and for the sound, of which none has come',
  );
  await viewers.leave();
});

t.test('a server that ends is told', async (t) => {
  const { url, playing } = await server(t);
  const viewers = crowd(url, 2);
  await viewers.join();
  playing[1]!.destroy();
  await until('it to be noticed', () => Object.keys(viewers.summary().failures).length > 0);
  t.strictSame(viewers.summary().failures, { 'lost: the server closed the connection': 1 });
  await viewers.leave();
});
