// SPDX-License-Identifier: Apache-2.0
// Viewers' connections over real sockets, with a fake story behind them: order, faults, bounds. And the source's side.
import t from 'tap';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { openListener } from '../../../src/control/net/listener.js';
import { connectSource } from '../../../src/control/net/source-connection.js';
import type { Listener, Log, ViewerLink, ViewerRequests } from '../../../src/control/path/ports.js';
import {
  request,
  response,
  type InterleavedFrame,
  type RtspMessage,
  type RtspRequest,
} from '../../../src/control/rtsp/message.js';
import { Deadlines } from '../../../src/control/state/deadlines.js';
import { DEFAULT_LIMITS, type Limits } from '../../../src/control/state/limits.js';
import { Tally } from '../../../src/control/state/tally.js';

const QUIET: Log = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * Answers with the method as a header; SLOW waits until let go, BIG has a large body. Two faults of ours: the answer to SPLIT
 * is none, and a frame of channel 9 makes it throw.
 */
class FakeStory implements ViewerRequests {
  readonly asked: string[] = [];
  readonly gone: ViewerLink[] = [];
  readonly frames: string[] = [];
  last: ViewerLink | undefined;
  held = false;
  release = () => {};

  async answer(link: ViewerLink, { method, headers }: RtspRequest) {
    this.asked.push(method);
    this.last = link;
    if (method === 'SLOW' || method === 'PLAY')
      await new Promise<void>((resolve) => (this.release = resolve));
    return response(
      200,
      [
        ['CSeq', headers.get('CSeq') ?? ''],
        ['Method', method === 'SPLIT' ? 'two\nlines' : method],
      ],
      Buffer.alloc(method === 'BIG' ? 100_000 : 0, 'x'),
    );
  }

  frame(_link: ViewerLink, { channel, payload }: InterleavedFrame) {
    if (channel === 9) throw new TypeError('not foreseen');
    this.frames.push(`${channel} ${payload.toString('latin1')}`);
  }

  closed(link: ViewerLink) {
    this.gone.push(link);
  }

  holds() {
    return this.held;
  }
}

async function start(limits: Partial<Limits> = {}) {
  const errors: string[] = [];
  const log: Log = { ...QUIET, error: (_fields, text) => void errors.push(text) };
  const story = new FakeStory();
  const refused = new Tally();
  let skippedMs = 0;
  const deadlines = new Deadlines(() => performance.now() + skippedMs);
  const listener = await openListener(
    { host: '127.0.0.1', port: 0 },
    { requests: story, deadlines, limits: { ...DEFAULT_LIMITS, ...limits }, refused, log },
  );
  const later = (ms: number) => {
    skippedMs += ms;
    deadlines.advance();
  };
  return { story, refused, listener, deadlines, later, errors };
}

async function dial({ address }: Listener) {
  const socket = connect(address.port, address.address);
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  socket.on('error', () => {});
  const closed = once(socket, 'close').catch(() => undefined);
  await once(socket, 'connect');
  return { socket, closed, text: () => text };
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 4000; i++) {
    if (what()) return;
    await sleep(5);
  }
  throw new Error(`not within twenty seconds: ${what}`);
}

const ask = (method: string, cseq: number, more = '') =>
  `${method} * RTSP/1.0\r\nCSeq: ${cseq}\r\n${more}\r\n`;
const answersIn = (text: string) =>
  [...text.matchAll(/RTSP\/1\.0 (\d+) .*\r\n(?:CSeq: (\d+))?/g)].map(([, s, c]) => `${s}/${c ?? '-'}`);

t.test('requests are answered one after the other, however they arrive', async (t) => {
  const { story, listener } = await start();
  const { socket, text } = await dial(listener);
  const bytes = ask('SLOW', 1) + ask('TWO', 2) + ask('THREE', 3);
  for (const byte of bytes) socket.write(byte);
  await until(() => story.asked.length === 1);
  await sleep(30);
  t.same(story.asked, ['SLOW'], 'the next waits');
  story.release();
  await until(() => answersIn(text()).length === 3);
  t.same(answersIn(text()), ['200/1', '200/2', '200/3']);
  t.match(story.last!.remote, { address: '127.0.0.1', port: socket.localPort });
  t.match(story.last!.local, { port: listener.address.port });
  socket.destroy();
  await until(() => story.gone.length === 1);
  t.equal(listener.connections, 0);
  await listener.close();
});

t.test(
  'interleaved packets: behind the answer to PLAY, counted until they are taken, no cause to be cut off',
  async (t) => {
    const { story, listener } = await start({ unreadBytes: 1000 });
    const { socket, text } = await dial(listener);
    socket.write(ask('PLAY', 1));
    await until(() => story.asked.length === 1);
    const link = story.last!;
    link.send(Buffer.from('$\0\0\x03one'));
    link.send(Buffer.from('$\0\0\x03two'));
    t.equal(link.queued, 14, 'they wait');
    t.equal(text(), '');
    story.release();
    await until(() => text().endsWith('two'));
    t.match(text(), /^RTSP\/1\.0 200 OK\r\n[^$]*\r\n\r\n\$\0\0\x03one\$\0\0\x03two$/);
    socket.pause();
    const frames = (i: number) => Buffer.alloc(100_000, i % 100);
    const before = text().length;
    for (let i = 0; i < 200; i++) link.send(frames(i)); // 20 MB: more than the system takes
    await sleep(50);
    t.ok(link.queued > 1_000_000, 'they wait for room');
    t.equal(listener.connections, 1);
    const taken = link.taken;
    t.ok(taken > 0);
    socket.resume();
    await until(() => link.queued === 0);
    t.ok(link.taken > taken);
    await until(() => text().length === before + 20_000_000);
    const came = Buffer.from(text().slice(before), 'latin1');
    t.ok(came.equals(Buffer.concat(Array.from({ length: 200 }, (_, i) => frames(i)))), 'all in order');
    socket.destroy();
    await until(() => story.gone.length === 1);
    link.send(frames(1));
    t.equal(link.queued, 0, 'nothing is kept for who has gone');
    await listener.close();
  },
);

t.test('a message at fault is answered; the connection is kept where its end is known', async (t) => {
  const { story, listener, refused } = await start();
  const { socket, text, closed } = await dial(listener);
  socket.write('$\x01\x00\x02ab'); // an interleaved frame
  socket.write('RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n'); // an answer to nothing, ignored
  socket.write(`X * RTSP/2.0\r\nCSeq: 5\r\n\r\n${ask('OK', 6)}`);
  await until(() => answersIn(text()).length === 2);
  t.same(answersIn(text()), ['505/5', '200/6']);
  t.same(story.frames, ['1 ab']);
  socket.write('X * RTSP/1.0\r\nCSeq: 7\r\nContent-Length: nonsense\r\n\r\nabc');
  await closed;
  t.same(answersIn(text()).at(-1), '400/7');
  t.same(story.asked, ['OK']);
  t.equal(refused.get('framing-400'), 1);
  await until(() => story.gone.length === 1);
  await listener.close();
});

t.test('a fault of ours is a 500, or ends the connection that it came to; the others go on', async (t) => {
  const { listener, errors, refused } = await start();
  const { socket, text } = await dial(listener);
  socket.write(ask('SPLIT', 1) + ask('OK', 2));
  await until(() => answersIn(text()).length === 2);
  t.same(answersIn(text()), ['500/1', '200/2']);
  const other = await dial(listener);
  other.socket.write('$\x09\x00\x02ab');
  await other.closed;
  socket.write(ask('OK', 3));
  await until(() => answersIn(text()).length === 3);
  t.same(errors, Array(2).fill('a connection failed: this is a fault of ours'));
  t.equal(refused.get('request-500'), 2);
  await listener.close();
});

t.test('who sends far ahead is not read any further, and is served later', async (t) => {
  const { story, listener } = await start({ aheadBytes: 10_000 });
  const { socket, text } = await dial(listener);
  socket.write(ask('SLOW', 1));
  await until(() => story.asked.length === 1);
  const filler = ask('FILL', 2, `X: ${'y'.repeat(8000)}\r\n`);
  for (let i = 0; i < 1500; i++) socket.write(filler);
  socket.write(ask('LAST', 3));
  await sleep(100);
  t.ok(socket.writableLength > 1_000_000, 'most of it waits at the sender');
  story.release();
  await until(() => text().endsWith('CSeq: 3\r\nMethod: LAST\r\n\r\n'));
  t.equal(story.asked.length, 1502);
  socket.destroy();
  await listener.close();
});

t.test('who does not read its answers is cut off', async (t) => {
  const { story, listener, refused } = await start({ unreadBytes: 200_000 });
  const { socket, closed } = await dial(listener);
  socket.pause();
  for (let i = 0; i < 200; i++) socket.write(ask('BIG', i));
  await until(() => refused.get('connection-does-not-read') === 1);
  await until(() => story.gone.length === 1);
  t.ok(story.asked.length < 200);
  socket.resume();
  await closed;
  await listener.close();
});

t.test('idle connections are closed, half a request is no sign of life, a session holds them', async (t) => {
  const { story, listener, later, refused, deadlines } = await start({ idleMs: 1000 });
  story.held = true;
  const { socket, text, closed } = await dial(listener);
  socket.write(ask('OK', 1));
  await until(() => answersIn(text()).length === 1);
  later(1200);
  later(1200);
  socket.write('OPTIONS * RT');
  await sleep(20);
  t.equal(listener.connections, 1);
  story.held = false;
  later(1200);
  await closed;
  t.equal(refused.get('connection-idle'), 1);
  await until(() => listener.connections === 0);
  t.equal(deadlines.size, 0);
  await listener.close();
});

for (const [when, method] of [
  ['after its request', 'OK'],
  ['while its request is worked on', 'SLOW'],
] as const)
  t.test(`a viewer that does not close after we did is cut off: closed ${when}`, async (t) => {
    const { story, listener, later, deadlines } = await start();
    const socket = connect({ port: listener.address.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => {});
    socket.resume();
    socket.write(ask(method, 1));
    await until(() => story.last !== undefined);
    story.last!.close();
    story.release();
    await sleep(30);
    t.equal(listener.connections, 1);
    later(3000);
    await until(() => listener.connections === 0);
    t.equal(deadlines.size, 0);
    socket.destroy();
    await listener.close();
  });

t.test('the number of connections is bounded, in all and per address', async (t) => {
  for (const [limits, reason] of [
    [{ connections: 1 }, 'connection-too-many'],
    [{ connectionsPerAddress: 1 }, 'connection-too-many-of-address'],
  ] as const) {
    const { listener, refused } = await start(limits);
    const first = await dial(listener);
    await until(() => listener.connections === 1);
    const second = connect(listener.address.port, listener.address.address);
    const [error] = (await once(second, 'error')) as [NodeJS.ErrnoException];
    t.equal(error.code, 'ECONNRESET');
    t.equal(refused.get(reason), 1);
    first.socket.write(ask('OK', 1));
    await until(() => first.text().includes('200'));
    first.socket.destroy();
    await until(() => listener.connections === 0);
    const third = await dial(listener);
    third.socket.write(ask('OK', 1));
    await until(() => third.text().includes('200'));
    const closing = listener.close();
    await third.closed;
    await closing;
  }
});

t.test('a port in use is told in one sentence', async (t) => {
  const { listener } = await start();
  const { port } = listener.address;
  const options = {
    requests: new FakeStory(),
    deadlines: new Deadlines(() => 0),
    limits: DEFAULT_LIMITS,
    refused: new Tally(),
    log: QUIET,
  };
  const wrong = `cannot listen on 127.0.0.1:${port}: the port is in use`;
  await t.rejects(openListener({ host: '127.0.0.1', port }, options), { message: wrong });
  await t.rejects(openListener({ host: '192.0.2.77', port }, options), {
    message: /not an address of this host/,
  });
  await listener.close();
});

t.test("the source's connection: messages up, one event at its end", async (t) => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.on('error', () => {})));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const dialSource = (to = { host: '127.0.0.1', port }) => {
    const messages: RtspMessage[] = [];
    const closed: string[] = [];
    const ends: string[] = [];
    const link = connectSource(to, {
      opened: (local, remote) => ends.push(`${local.address} ${remote.port}`),
      message: (message) => messages.push(message),
      frame: () => {},
      closed: (why) => closed.push(why.message),
    });
    return { link, messages, closed, ends };
  };

  const one = dialSource();
  one.link.send(request('OPTIONS', '*', [['CSeq', '1']])); // before it is open
  await until(() => sockets.length === 1);
  const [bytes] = (await once(sockets[0]!, 'data')) as [Buffer];
  t.match(bytes.toString(), 'OPTIONS * RTSP/1.0');
  sockets[0]!.write('$\x00\x00\x01xRTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n');
  await until(() => one.messages.length === 2);
  t.same(
    one.messages.map(({ kind }) => kind),
    ['response', 'request'],
    'frames are left out',
  );
  t.same(one.ends, [`127.0.0.1 ${port}`]);
  sockets[0]!.write('nonsense\r\n\r\n');
  await until(() => one.closed.length === 1);
  await sleep(20);
  t.equal(one.closed.length, 1, 'once');

  const two = dialSource();
  await until(() => sockets.length === 2);
  sockets[1]!.resetAndDestroy();
  await until(() => two.closed.length === 1);
  t.match(two.closed[0], /ECONNRESET/);

  const three = dialSource();
  await until(() => sockets.length === 3);
  three.link.close();
  await once(sockets[2]!.resume(), 'close');
  t.same(three.closed, [], 'not for what we closed ourselves');
  server.close();
  await once(server, 'close');

  const four = dialSource();
  await until(() => four.closed.length === 1);
  t.match(four.closed[0], /ECONNREFUSED/);
});
