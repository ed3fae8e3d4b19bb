// SPDX-License-Identifier: Apache-2.0
// Pairs of UDP sockets on loopback.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { bindUdpPair } from '../../../src/control/net/udp-pair.js';
import type { Endpoint } from '../../../src/control/path/ports.js';
import { PortPairs, PortsExhausted } from '../../../src/control/state/port-pairs.js';

const LOCAL = '127.0.0.1';

async function stranger(port: number): Promise<Socket> {
  const socket = createSocket('udp4').bind(port, LOCAL);
  await once(socket, 'listening');
  return socket;
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !condition(); i++) await delay(5);
  if (!condition()) throw new Error('not within 2 s');
}

t.test('sends and receives on both ports, to every handler', async (t) => {
  const pairs = new PortPairs({ first: 31100, last: 31199 });
  const [a, b] = [await bindUdpPair(pairs, { address: LOCAL }), await bindUdpPair(pairs)];
  t.same([a.rtcpPort, b.rtcpPort], [a.rtpPort + 1, b.rtpPort + 1]);
  const got: string[] = [];
  const log = (name: string) => (packet: Buffer, from: Endpoint) =>
    got.push(`${name} ${String(packet)} ${from.address}:${from.port}`);
  b.onRtp(log('first'));
  b.onRtp(log('second'));
  b.onRtcp(log('rtcp'));
  a.sendRtp(Buffer.from('media'), { address: LOCAL, port: b.rtpPort });
  a.sendRtcp(Buffer.from('report'), { address: LOCAL, port: b.rtcpPort });
  await until(() => got.length === 3);
  t.same(got.sort(), [
    `first media ${LOCAL}:${a.rtpPort}`,
    `rtcp report ${LOCAL}:${a.rtcpPort}`,
    `second media ${LOCAL}:${a.rtpPort}`,
  ]);
  a.close();
  b.close();
  await until(() => pairs.free === 50);
});

t.test('a handler that throws stops neither the others nor the process', async (t) => {
  const pairs = new PortPairs({ first: 31200, last: 31203 });
  const errors: unknown[] = [];
  const pair = await bindUdpPair(pairs, { address: LOCAL, onError: (error) => errors.push(error) });
  let second = 0;
  pair.onRtp(() => {
    throw new Error('mine');
  });
  pair.onRtp(() => second++);
  for (const text of ['1', '2']) pair.sendRtp(Buffer.from(text), { address: LOCAL, port: pair.rtpPort });
  await until(() => second === 2);
  t.match(errors, [{ message: 'mine' }, { message: 'mine' }]);
  pair.close();
});

t.test('send errors are reported, never thrown', async (t) => {
  const failed: string[] = [];
  const pair = await bindUdpPair(new PortPairs({ first: 31204, last: 31207 }), {
    onSendError: (error, to) => failed.push(`${error.code} ${to.address}:${to.port}`),
  });
  pair.sendRtp(Buffer.alloc(65508), { address: LOCAL, port: 9 });
  pair.sendRtp(Buffer.alloc(1), { address: LOCAL, port: 0 });
  pair.sendRtcp(Buffer.alloc(1), { address: 'not an address', port: 9 });
  await until(() => failed.length === 3);
  t.same(failed.sort(), [
    'EINVAL not an address:9',
    'EMSGSIZE 127.0.0.1:9',
    'ERR_SOCKET_BAD_PORT 127.0.0.1:0',
  ]);
  pair.close();
  pair.sendRtp(Buffer.alloc(1), { address: LOCAL, port: 9 });
  t.equal(failed.length, 3, 'a send after close() is nobody’s error');
});

t.test('a datagram is with the system when send returns: close() right after it loses nothing', async (t) => {
  const pairs = new PortPairs({ first: 31218, last: 31221 });
  const [a, b] = [await bindUdpPair(pairs), await bindUdpPair(pairs, { address: LOCAL })];
  const got: string[] = [];
  b.onRtcp((packet) => got.push(String(packet)));
  a.sendRtcp(Buffer.from('bye'), { address: LOCAL, port: b.rtcpPort });
  a.close();
  await until(() => pairs.free === 1 && got.length === 1);
  t.same(got, ['bye']);
  b.close();
});

t.test('ports that strangers hold are passed over', async (t) => {
  const pairs = new PortPairs({ first: 31208, last: 31215 });
  const strangers = [await stranger(31208), await stranger(31211)];
  const pair = await bindUdpPair(pairs, { address: LOCAL });
  t.equal(pair.rtpPort, 31212, 'the RTP port of one pair and the RTCP port of the next were taken');
  const last = await bindUdpPair(pairs, { address: LOCAL });
  t.equal(last.rtpPort, 31214);
  t.equal(pairs.free, 2, 'what could not be bound was given back');
  await t.rejects(bindUdpPair(pairs, { address: LOCAL }), { code: 'EADDRINUSE' }, 'bounded tries');
  t.equal(pairs.free, 2);
  for (const s of strangers) s.close();
  pair.close();
  last.close();
  await until(() => pairs.free === 4);
  t.equal(
    (await stranger(31210)).close().constructor.name,
    'Socket',
    'the half that was bound is free again',
  );
});

t.test('exhaustion, and an address that is not ours', async (t) => {
  const pairs = new PortPairs({ first: 31216, last: 31217 });
  await t.rejects(bindUdpPair(pairs, { address: '192.0.2.1' }), { code: 'EADDRNOTAVAIL' });
  const pair = await bindUdpPair(pairs, { address: LOCAL });
  await t.rejects(bindUdpPair(pairs), PortsExhausted);
  pair.close();
  pair.close();
  t.equal(pairs.free, 0, 'not free before the sockets are closed');
  await until(() => pairs.free === 1);
  const again = await bindUdpPair(pairs, { address: LOCAL });
  let got = 0;
  again.onRtp(() => {
    got++;
    again.close();
  });
  again.onRtp(() => got++);
  again.sendRtp(Buffer.alloc(1), { address: LOCAL, port: again.rtpPort });
  await until(() => pairs.free === 1);
  t.equal(got, 1, 'nothing is called after close()');
});

t.test('one pair serves both families, and IPv4 addresses look like IPv4', async (t) => {
  const pairs = new PortPairs({ first: 31600, last: 31699 });
  const pair = await bindUdpPair(pairs);
  const got: string[] = [];
  pair.onRtp((packet, from) => got.push(`${String(packet)} ${from.address}`));
  for (const [type, address] of [
    ['udp4', LOCAL],
    ['udp6', '::1'],
  ] as const) {
    const other = createSocket(type).bind(0, address);
    await once(other, 'listening');
    const heard = once(other, 'message') as Promise<[Buffer, { port: number; address: string }]>;
    other.send(`from ${type}`, pair.rtpPort, address);
    pair.sendRtp(Buffer.from(`to ${type}`), { address, port: other.address().port });
    const [packet, from] = await heard;
    t.match({ text: String(packet), ...from }, { text: `to ${type}`, address, port: pair.rtpPort });
    other.close();
  }
  await until(() => got.length === 2);
  t.same(got, [`from udp4 ${LOCAL}`, 'from udp6 ::1']);
  pair.close();
});
