// SPDX-License-Identifier: Apache-2.0
// What RTSP may come over besides plain TCP: TLS, an HTTP tunnel, and a tunnel within TLS. Over real sockets, with a fake
// story behind them.
import t from 'tap';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { openListener } from '../../../src/control/net/listener.js';
import type { Listener, ListenAt, Log, ViewerLink, ViewerRequests } from '../../../src/control/path/ports.js';
import { response, type RtspRequest } from '../../../src/control/rtsp/message.js';
import { Deadlines } from '../../../src/control/state/deadlines.js';
import { DEFAULT_LIMITS, type Limits } from '../../../src/control/state/limits.js';
import { Tally } from '../../../src/control/state/tally.js';
import { Authority } from '../../fixtures/tls.js';

const QUIET: Log = { debug() {}, info() {}, warn() {}, error() {} };

class FakeStory implements ViewerRequests {
  readonly asked: string[] = [];
  readonly links = new Set<ViewerLink>();
  gone = 0;

  async answer(link: ViewerLink, { uri, headers }: RtspRequest) {
    this.asked.push(uri);
    this.links.add(link);
    return response(
      200,
      [['CSeq', headers.get('CSeq') ?? '']],
      Buffer.alloc(uri === '/big' ? 300_000 : 0, 'x'),
    );
  }
  closed() {
    this.gone++;
  }
  frame() {}
  holds() {
    return false;
  }
}

async function start(limits: Partial<Limits> = {}, tls?: ListenAt['tls']) {
  const story = new FakeStory();
  const refused = new Tally();
  let skippedMs = 0;
  const deadlines = new Deadlines(() => performance.now() + skippedMs);
  const listener = await openListener(
    { host: '127.0.0.1', port: 0, tls },
    { requests: story, deadlines, limits: { ...DEFAULT_LIMITS, ...limits }, refused, log: QUIET },
  );
  const later = (ms: number) => {
    skippedMs += ms;
    deadlines.advance();
  };
  return { story, refused, listener, deadlines, later };
}

interface Dialled {
  readonly socket: Socket;
  readonly text: () => string;
  readonly closed: Promise<unknown>;
}

function gather(socket: Socket): Dialled {
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  socket.on('error', () => {});
  return { socket, closed: once(socket, 'close').catch(() => undefined), text: () => text };
}

async function dial({ address }: Listener, bytes = ''): Promise<Dialled> {
  const socket = connect(address.port, address.address);
  const dialled = gather(socket);
  await once(socket, 'connect');
  if (bytes) socket.write(bytes);
  return dialled;
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 4000; i++) {
    if (what()) return;
    await sleep(5);
  }
  throw new Error(`not within twenty seconds: ${what}`);
}

const ask = (uri: string, cseq: number) => `OPTIONS ${uri} RTSP/1.0\r\nCSeq: ${cseq}\r\n\r\n`;
const base64 = (text: string) => Buffer.from(text).toString('base64');
const get = (cookie: string) =>
  `GET /clip HTTP/1.0\r\nx-sessioncookie: ${cookie}\r\nAccept: application/x-rtsp-tunnelled\r\n\r\n`;
const post = (cookie: string) =>
  `POST /clip HTTP/1.0\r\nX-SessionCookie: ${cookie}\r\nContent-Type: application/x-rtsp-tunnelled\r\n` +
  'Content-Length: 32767\r\n\r\n';
const answersIn = (text: string) =>
  [...text.matchAll(/RTSP\/1\.0 (\d+) [^\r]*\r\nCSeq: (\d+)/g)].map((m) => `${m[1]}/${m[2]}`);

t.test('a tunnel: requests by POST, answers by GET, however the bytes are cut', async (t) => {
  const { story, listener } = await start();
  const down = await dial(listener);
  for (const byte of get('c1')) {
    down.socket.write(byte);
    await sleep(0);
  }
  await until(() => down.text().endsWith('\r\n\r\n'));
  t.match(down.text(), /^HTTP\/1\.0 200 OK\r\n[^]*Content-Type: application\/x-rtsp-tunnelled\r\n\r\n$/);
  const up = await dial(listener);
  const bytes = post('c1') + base64(ask('/1', 1)) + base64(ask('/22', 2)) + base64(ask('/333', 3));
  for (let at = 0; at < bytes.length; at += 7) {
    up.socket.write(bytes.slice(at, at + 7));
    if (at % 3 === 0) await sleep(1);
  }
  await until(() => answersIn(down.text()).length === 3);
  t.same(answersIn(down.text()), ['200/1', '200/2', '200/3']);
  t.equal(up.text(), '', 'nothing comes by the POST connection');
  const [link] = story.links;
  t.equal(story.links.size, 1);
  t.match(link!.remote, { address: '127.0.0.1', port: down.socket.localPort });
  t.equal(link!.hold(), undefined);

  up.socket.write(base64(ask('/lost', 4)).slice(0, 10)); // half a group stays behind
  await sleep(20);
  up.socket.end();
  await until(() => listener.connections === 1);
  const again = await dial(listener, post('c1') + base64(ask('/again', 5)));
  await until(() => answersIn(down.text()).length === 3 + 1 || story.asked.includes('/again'));
  t.notOk(story.asked.includes('/lost'));
  again.socket.destroy();
  down.socket.destroy();
  await until(() => story.gone === 1 && listener.connections === 0);
  await listener.close();
});

t.test('a POST may come before its GET; the end of the GET ends both', async (t) => {
  const { story, listener, deadlines } = await start();
  const up = await dial(listener, post('early') + base64(ask('/x', 1)));
  await sleep(30);
  t.same(story.asked, []);
  const down = await dial(listener, get('early'));
  await until(() => answersIn(down.text()).length === 1);
  t.ok(down.text().indexOf('HTTP/1.0 200') < down.text().indexOf('RTSP/1.0 200'));
  down.socket.end();
  await up.closed;
  await until(() => listener.connections === 0 && story.gone === 1);
  t.equal(deadlines.size, 0);
  await listener.close();
});

t.test('what is no tunnel is told so in HTTP, and nothing is left of it', async (t) => {
  const { listener, refused, story, later, deadlines } = await start({ tunnelsPending: 1 });
  const refusal = async (bytes: string, status: number) => {
    const { closed, text } = await dial(listener, bytes);
    await closed;
    t.match(text(), new RegExp(`^HTTP/1\\.0 ${status} `));
  };
  await refusal('GET / HTTP/1.1\r\nHost: x\r\n\r\n', 400);
  await refusal(`POST / HTTP/1.1\r\nX: ${'a'.repeat(9000)}\r\n\r\n`, 431);
  const down = await dial(listener, get('one'));
  await until(() => down.text() !== '');
  await refusal(get('one'), 409);
  const lonely = await dial(listener, post('nobody'));
  await until(() => deadlines.size === 2);
  await refusal(post('nobody'), 409);
  await refusal(post('another'), 503);
  const half = await dial(listener, 'GET /x HT');
  await until(() => deadlines.size === 3);
  later(DEFAULT_LIMITS.tunnelMs + 200);
  await Promise.all([lonely.closed, half.closed]);
  t.match(lonely.text(), /^HTTP\/1\.0 408 /);
  t.match(half.text(), /^HTTP\/1\.0 408 /);
  const up = await dial(listener, `${post('one')}no base64 at all $$$$`);
  await Promise.all([up.closed, down.closed]);
  await until(() => listener.connections === 0);
  t.same(story.asked, []);
  t.equal(story.gone, 1);
  t.equal(refused.get('tunnel-400') + refused.get('tunnel-409') + refused.get('tunnel-503'), 4);
  t.equal(deadlines.size, 0);
  await listener.close();
});

t.test('who does not read the answers of a tunnel is cut off; who says nothing is, too', async (t) => {
  const { listener, refused, later, story } = await start({ unreadBytes: 500_000, idleMs: 1000 });
  const down = await dial(listener, get('slow'));
  await until(() => down.text() !== '');
  down.socket.pause();
  const up = await dial(listener, post('slow'));
  for (let i = 0; i < 100; i++) up.socket.write(base64(ask('/big', i)));
  await until(() => refused.get('connection-does-not-read') === 1);
  await up.closed;
  t.equal(story.gone, 1);
  down.socket.destroy();
  const idle = [await dial(listener), await dial(listener, 'GET'), await dial(listener, get('idle'))];
  await until(() => listener.connections === 3 && idle[2]!.text() !== '');
  later(1200);
  await Promise.all(idle.map(({ closed }) => closed));
  t.equal(refused.get('connection-idle'), 3);
  await listener.close();
});

t.test('closing: an answer goes out first, and who has asked nothing is cut off', async (t) => {
  const { listener } = await start();
  const all = [
    await dial(listener),
    await dial(listener, 'POS'),
    await dial(listener, post('p')),
    await dial(listener, get('g')),
  ];
  const asking = await dial(listener, ask('/big', 1));
  await until(() => asking.text().length > 300_000 && all[3]!.text() !== '');
  await listener.close();
  await Promise.all([...all, asking].map(({ closed }) => closed));
  t.same(answersIn(asking.text()), ['200/1']);
  await until(() => listener.connections === 0);
});

t.test('TLS: RTSP and a tunnel within it, a new certificate, no way back to plain', async (t) => {
  const authority = new Authority(t.testdir());
  const [first, second] = [authority.issue('IP:127.0.0.1'), authority.issue('IP:127.0.0.1')];
  const files = { certificate: `${authority.folder}/live.pem`, key: `${authority.folder}/live-key.pem` };
  const install = ({ certificate, key }: { certificate: string; key: string }) => {
    copyFileSync(certificate, files.certificate);
    copyFileSync(key, files.key);
  };
  install(first);
  const { listener, story, refused, later } = await start({}, { at: { host: '127.0.0.1', port: 0 }, files });
  const ca = readFileSync(authority.certificate);
  const dialTls = async (bytes: string) => {
    const socket = connectTls({ host: '127.0.0.1', port: listener.tlsAddress!.port, ca });
    const dialled = gather(socket);
    await once(socket, 'secureConnect');
    socket.write(bytes);
    return { ...dialled, fingerprint: socket.getPeerCertificate().fingerprint256 };
  };

  const one = await dialTls(ask('/secret', 1));
  await until(() => answersIn(one.text()).length === 1);
  t.equal(one.fingerprint, first.fingerprint);
  t.equal([...story.links][0]!.secure, true);
  t.equal([...story.links][0]!.hold(), undefined);

  install(second);
  listener.reloadTls();
  const down = await dialTls(get('within'));
  t.equal(down.fingerprint, second.fingerprint);
  const plain = await dial(listener, post('within') + base64(ask('/plain', 7)));
  await until(() => down.text() !== '');
  const up = await dialTls(post('within') + base64(ask('/tunnelled', 2)));
  await until(() => answersIn(down.text()).length === 1);
  t.same(story.asked, ['/secret', '/tunnelled'], 'a plain POST does not get into a tunnel within TLS');
  one.socket.write(ask('/still', 3));
  await until(() => answersIn(one.text()).length === 2);

  writeFileSync(files.key, 'nonsense');
  t.throws(() => listener.reloadTls(), /TLS cannot be done with .*live\.pem/);
  const third = await dialTls(ask('/old', 4));
  t.equal(third.fingerprint, second.fingerprint, 'the one before stays');

  const rude = connect(listener.tlsAddress!.port, '127.0.0.1');
  rude.on('error', () => {});
  rude.write(ask('/without', 1));
  await once(rude.resume(), 'close');
  t.equal(refused.get('tls-handshake'), 1);
  for (const { socket } of [one, down, up, third, plain]) socket.destroy();
  later(DEFAULT_LIMITS.tunnelMs + 200); // a POST that waits is not read, so its end shows only then
  await until(() => listener.connections === 0);
  await listener.close();
});

t.test('TLS that cannot be done is told at the start', async (t) => {
  const files = { certificate: '/nowhere/cert.pem', key: '/nowhere/key.pem' };
  await t.rejects(start({}, { at: { host: '127.0.0.1', port: 0 }, files }), {
    message: '/nowhere/cert.pem cannot be read: ENOENT',
  });
  const authority = new Authority(t.testdir());
  const { certificate } = authority.issue('IP:127.0.0.1');
  const { key } = authority.issue('IP:127.0.0.1');
  await t.rejects(
    start({}, { at: { host: '127.0.0.1', port: 0 }, files: { certificate, key } }),
    /TLS cannot be done with/,
  );
});
