// SPDX-License-Identifier: Apache-2.0
// RTSP over HTTP towards a source, over real sockets: how the two connections come about, what goes by which, and how
// each way of going wrong ends it once.
import t, { type Test } from 'tap';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectSource } from '../../../src/control/net/source-connection.js';
import type { SourceLink } from '../../../src/control/path/ports.js';
import { request } from '../../../src/control/rtsp/message.js';
import { parseTunnelAnswer, parseTunnelHead, tunnelRequest } from '../../../src/control/rtsp/tunnel.js';

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 4000; i++) {
    if (what()) return;
    await sleep(5);
  }
  throw new Error(`not within twenty seconds: ${what}`);
}

const OPENED = 'HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n';

/** A server that notes what comes and says what it is told to; and our end of a tunnel to it. */
async function start(t: Test, path = '/live?x=1') {
  const connections: { socket: Socket; text: string }[] = [];
  const server = createServer((socket) => {
    const connection = { socket, text: '' };
    connections.push(connection);
    socket.setEncoding('latin1').on('data', (text) => (connection.text += String(text)));
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const seen = { opened: 0, messages: [] as string[], frames: [] as string[], closed: [] as string[] };
  const { port } = server.address() as AddressInfo;
  const link: SourceLink = connectSource(
    { host: 'localhost', port, tunnel: path },
    {
      opened: (local, remote) => {
        seen.opened++;
        t.equal(remote.port, port);
        t.not(local.port, port);
      },
      message: (message) => seen.messages.push(message.kind),
      frame: (channel, payload) => seen.frames.push(`${channel} ${payload.toString()}`),
      closed: (why) => seen.closed.push(why.message),
    },
  );
  t.teardown(() => {
    link.close();
    connections.forEach(({ socket }) => socket.destroy());
    server.close();
  });
  await until(() => connections[0]?.text.endsWith('\r\n\r\n') === true);
  return { connections, seen, link, port };
}

t.test('a GET, and when it has been answered a POST with the same cookie', async (t) => {
  const { connections, seen, link, port } = await start(t);
  link.send(request('OPTIONS', '*', [['CSeq', '1']]));
  const get = connections[0]!;
  t.match(get.text, /^GET \/live\?x=1 HTTP\/1\.0\r\n/);
  t.match(get.text, `\r\nHost: localhost:${port}\r\n`);
  const { cookie } = parseTunnelHead(Buffer.from(get.text))!;
  get.socket.write(OPENED.slice(0, 10));
  await sleep(30);
  t.equal(connections.length, 1, 'no POST before the answer is whole');
  get.socket.write(`${OPENED.slice(10)}RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n$\x02\0\x03abc`, 'latin1');
  await until(() => seen.messages.length === 1 && seen.frames.length === 1 && connections.length === 2);
  t.same(seen.frames, ['2 abc'], 'what comes right behind the head, too');
  const post = connections[1]!;
  await until(() => /\r\n\r\n.+/s.test(post.text));
  const head = parseTunnelHead(Buffer.from(post.text))!;
  t.equal(head.method, 'POST');
  t.equal(head.cookie, cookie);
  const body = () => Buffer.from(post.text.slice(head.length), 'base64').toString();
  t.match(body(), /^OPTIONS \* RTSP\/1\.0\r\n/, 'what was sent before it was open goes out in base64');
  t.equal(seen.opened, 1);
  t.equal(link.hold(), undefined, 'no other process can go on with it');
  post.text = post.text.slice(0, head.length);
  link.send(request('TEARDOWN', '*', [['CSeq', '2']]));
  link.close();
  await until(() => /^TEARDOWN/.test(body()));
  await Promise.all(connections.map(({ socket }) => socket.closed || once(socket, 'close')));
  t.same(seen.closed, [], 'its own end is no event');
  t.equal(get.text.includes('TEARDOWN'), false);
});

t.test('what goes wrong ends it, once, with the reason', async (t) => {
  type Step = (connections: { socket: Socket }[]) => Promise<void> | void;
  const opens: Step = async (connections) => {
    connections[0]!.socket.write(OPENED);
    await until(() => connections.length === 2);
  };
  const cases: [string, Step, RegExp][] = [
    ['a 401', ([get]) => void get!.socket.write('HTTP/1.1 401 Unauthorized\r\n\r\n'), /answers 401 to RTSP over HTTP/],
    ['RTSP', ([get]) => void get!.socket.write('RTSP/1.0 400 Bad Request\r\n\r\n'), /no HTTP/],
    ['a head without end', ([get]) => void get!.socket.write('x'.repeat(9000)), /no HTTP/],
    ['no answer', ([get]) => void get!.socket.destroy(), /closed/],
    ['the end of the GET', async (c) => (await opens(c), void c[0]!.socket.end()), /closed by the source/],
    ['the end of the POST', async (c) => (await opens(c), void c[1]!.socket.end()), /closed by the source/],
  ]; // prettier-ignore
  for (const [name, step, why] of cases)
    await t.test(name, async (t) => {
      const { connections, seen, link } = await start(t);
      link.send(request('OPTIONS', '*', [['CSeq', '1']]));
      await step(connections);
      await until(() => seen.closed.length > 0);
      t.match(seen.closed, [why]);
      await until(() => connections.every(({ socket }) => socket.destroyed));
      t.equal(seen.closed.length, 1);
      link.send(request('OPTIONS', '*', [['CSeq', '2']]));
    });
});

t.test('a link that is closed before it is open leaves nothing', async (t) => {
  const { connections, seen, link } = await start(t);
  link.send(request('OPTIONS', '*', [['CSeq', '1']]));
  link.close();
  await until(() => connections[0]!.socket.destroyed);
  t.equal(connections.length, 1);
  t.same(seen.closed, []);
});

t.test('the heads', async (t) => {
  const target = { authority: '[2001:db8::1]:554', path: '', cookie: 'abc' };
  for (const method of ['GET', 'POST'] as const) {
    const text = tunnelRequest(method, target);
    t.same(parseTunnelHead(Buffer.from(text)), { method, cookie: 'abc', length: text.length });
    t.ok(text.startsWith(`${method} / HTTP/1.0\r\nHost: [2001:db8::1]:554\r\n`));
  }
  const answer = (text: string) => parseTunnelAnswer(Buffer.from(text));
  t.equal(answer(`${OPENED}$`), OPENED.length);
  t.equal(answer('HTTP/1.1 200\n\n'), 14, 'no reason, LF alone');
  t.equal(answer(OPENED.slice(0, -1)), undefined);
  for (const bad of ['HTTP/1.0 404 Not Found\r\n\r\n', 'HTTP/2 200 OK\r\n\r\n', '\r\n\r\n', 'y'.repeat(8192)])
    t.throws(() => answer(bad), { message: /RTSP over HTTP|no HTTP/ }, bad.slice(0, 20));
});
