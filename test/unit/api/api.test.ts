// SPDX-License-Identifier: Apache-2.0
// The API over a real unix socket, asked by proxyctl's own client; and who may have the socket.

import t, { type Test } from 'tap';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { serveApi } from '../../../src/control/api/server.js';
import {
  defaultSocketPath,
  defaultSocketsInUse,
  ROOTS_SOCKET,
} from '../../../src/control/api/socket-path.js';
import type { ClientRow, PathRow, ProxyView, StatusRow, StreamRow } from '../../../src/control/api/types.js';
import { ask, nobodyAnswers } from '../../../src/proxyctl/api-client.js';

const run = promisify(execFile);

const clients: ClientRow[] = [
  {
    id: 1,
    role: 'viewer',
    address: '192.0.2.1',
    port: 50_000,
    stream: '/camera',
    state: 'playing',
    since: '2026-01-01T00:00:00.000Z',
    session: 's',
    subflows: 2,
    tracks: [
      {
        media: 'video',
        transport: 'tcp',
        rtpPort: 5000,
        rtcpPort: 5001,
        group: null,
        servedBy: null,
        packets: 2 ** 53 - 1,
        bytes: 2,
        drops: 0,
        queue: { bytes: 3, picturesDropped: 4 },
        loss: {
          fraction: 0.5,
          cumulative: -3,
          jitterMs: null,
          roundTripMs: 1.5,
          at: '2026-01-01T00:00:01.000Z',
        },
        extended: {
          roundTripMs: 1.5,
          lost: 3,
          duplicates: null,
          jitterMs: { min: 0, max: 9.5, mean: 1, deviation: null },
          voice: {
            ...{ lossRate: 0.25, discardRate: 0, roundTripMs: 30, endSystemDelayMs: 60 },
            ...{ rFactor: 80, mosListening: 4.1, mosConversational: null },
          },
        },
        layers: { policy: 'aimd', allowance: 2, wanted: 7, bandwidth: null, changes: 1, thinned: 9 },
      },
      {
        media: 'audio',
        transport: 'multicast',
        rtpPort: 1,
        rtcpPort: 2,
        group: '239.192.0.1',
        servedBy: 'kernel',
        packets: 0,
        bytes: 0,
        drops: 0,
        queue: null,
        loss: null,
        extended: null,
        layers: null,
      },
    ],
  },
];
const paths: PathRow[] = [
  {
    name: 'cam/*',
    path: '/cam/*',
    source: 'rtsp://192.0.2.7/$1',
    trouble: 'the source answered DESCRIBE with 401 Unauthorized',
    streams: 2,
    viewers: 3,
    packets: 5,
    bytes: 6,
    drops: 7,
    own: 1,
    mostOwn: 8,
    staggerMs: 30_000,
    maxViewers: null,
  },
  {
    name: 'lobby',
    path: '/lobby',
    source: 'rtsp://192.0.2.8/',
    trouble: null,
    streams: 0,
    viewers: 0,
    packets: 0,
    bytes: 0,
    drops: 0,
    own: 0,
    mostOwn: 0,
    staggerMs: null,
    maxViewers: 9,
  },
];
const streams: StreamRow[] = [
  {
    path: '/camera',
    state: 'ready',
    upstream: 'cam:554',
    subflows: null,
    own: false,
    open: true,
    position: null,
    publisher: null,
    viewers: 1,
    since: '2026-01-01T00:00:00.000Z',
    tracks: [
      {
        media: 'video',
        payloadType: null,
        clockRate: 90_000,
        ssrc: null,
        packets: 0,
        bytes: 0,
        lost: -1,
        jitterMs: 0.25,
        roundTripMs: null,
        upstreamPort: 40_000,
        downstreamPort: 40_002,
        layers: { notion: 'dependency', rates: [300, 100, 0, 0, 0, 0, 0, 0] },
      },
    ],
  },
];
const status: StatusRow = {
  engine: 'userspace',
  why: 'because',
  listen: '[::]:8554',
  source: 'rtsp://cam/',
  uptimeMs: 12.5,
  connections: 1,
  viewers: 1,
  streams: 1,
  drops: { malformed: 0 },
  refused: { 'too-many': 1 },
  facts: { text: 'x', number: 1 },
};

function fakeProxy(): ProxyView & { readonly kicked: number[] } {
  const kicked: number[] = [];
  return {
    kicked,
    clients: () => clients,
    reports: () => [],
    streams: () => streams,
    paths: () => paths,
    status: () => status,
    kick: (id) => (kicked.push(id), id === 1),
    flush: () => 3,
  };
}

t.test('every field of every row arrives', async (t) => {
  const path = join(folder(t), 'api.sock');
  const api = await serveApi(path, fakeProxy(), '1.2.3');
  t.teardown(() => api.close());
  t.equal(statSync(path).mode & 0o777, 0o600, 'only this user may open it');
  t.same(await ask(path, 'GET', '/clients'), clients);
  t.same(await ask(path, 'GET', '/streams'), streams);
  t.same(await ask(path, 'GET', '/paths'), paths);
  t.same(await ask(path, 'GET', '/status'), status);
});

t.test('metrics are there as well', async (t) => {
  const path = join(folder(t), 'api.sock');
  const api = await serveApi(path, fakeProxy(), '1.2.3');
  t.teardown(() => api.close());
  const asked = request({ socketPath: path, path: '/metrics' }).end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  t.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  t.match((await answer.toArray()).join(''), '\nrtsp_fanout_info{version="1.2.3",');
});

t.test('layers of a stream, by its path or its name in the file of paths', async (t) => {
  const path = join(folder(t), 'api.sock');
  const api = await serveApi(path, fakeProxy(), '1.2.3');
  t.teardown(() => api.close());
  const layers = (stream: string) => run('bin/proxyctl', ['--api-socket', path, 'layers', stream]);
  for (const name of ['/camera', 'camera'])
    t.match((await layers(name)).stdout, /^MEDIA +LAYER [^]*\nvideo +0 /);
  await t.rejects(layers('lobby'), {
    code: 1,
    stderr: 'proxyctl: no stream /lobby is open: `proxyctl streams` shows those that are\n',
  });
});

t.test('paths: why a source cannot be had stands below them', async (t) => {
  const path = join(folder(t), 'api.sock');
  const api = await serveApi(path, fakeProxy(), '1.2.3');
  t.teardown(() => api.close());
  const { stdout } = await run('bin/proxyctl', ['--api-socket', path, 'paths']);
  t.match(stdout, /^\/cam\/\* cannot be had: the source answered DESCRIBE with 401 Unauthorized$/m);
  t.notMatch(stdout, /^\/lobby cannot/m);
});

t.test('kick and flush; errors say what was wrong', async (t) => {
  const path = join(folder(t), 'api.sock');
  const proxy = fakeProxy();
  const api = await serveApi(path, proxy, '1.2.3');
  t.teardown(() => api.close());
  t.same(await ask(path, 'POST', '/clients/1/kick'), { kicked: 1 });
  t.same(await ask(path, 'POST', '/flush'), { flushed: 3 });
  await t.rejects(ask(path, 'POST', '/clients/2/kick'), { message: 'there is no viewer 2' });
  await t.rejects(ask(path, 'POST', '/clients/0/kick'), { message: /must be >= 1/ });
  await t.rejects(ask(path, 'POST', '/clients/x/kick'), { message: /must be integer/ });
  await t.rejects(ask(path, 'GET', '/nothing'), { message: 'there is no GET /nothing' });
  await t.rejects(ask(path, 'GET', '/flush'), { message: 'there is no GET /flush' });
  t.same(proxy.kicked, [1, 2], 'what the schema refuses does not reach the proxy');
});

t.test('a body that is too long is refused', async (t) => {
  const path = join(folder(t), 'api.sock');
  const api = await serveApi(path, fakeProxy(), '1.2.3');
  t.teardown(() => api.close());
  const call = request({
    socketPath: path,
    method: 'POST',
    path: '/flush',
    headers: { 'content-type': 'text/plain' },
  });
  call.end('x'.repeat(2000));
  const [response] = await once(call, 'response');
  t.equal(response.statusCode, 413);
  response.resume();
});

t.test('the socket: gone after close, taken over from the dead, not from the living', async (t) => {
  const path = join(folder(t), 'api.sock');
  await dieHolding(path);
  t.ok(existsSync(path), 'a killed process leaves its socket');
  await t.rejects(ask(path, 'GET', '/status'), { message: /no proxy answers on .*is it running/ });
  const api = await serveApi(path, fakeProxy(), '1.2.3');
  await t.rejects(serveApi(path, fakeProxy(), '1.2.3'), { message: /another proxy answers/ });
  t.same(await ask(path, 'POST', '/flush'), { flushed: 3 }, 'the first one was not disturbed');
  await api.close();
  t.notOk(existsSync(path));
  await t.rejects(ask(path, 'GET', '/status'), { message: /no proxy answers on/ });
});

t.test("somebody's file is not removed; a folder that is not there is told", async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'file'), 'mine');
  await t.rejects(serveApi(join(dir, 'file'), fakeProxy(), '1.2.3'), { message: /no socket is in the way/ });
  t.ok(existsSync(join(dir, 'file')));
  t.equal(readFileSync(join(dir, 'file'), 'utf8'), 'mine');
  await t.rejects(serveApi(join(dir, 'no', 'api.sock'), fakeProxy(), '1.2.3'), {
    message: /there is no folder/,
  });
  await t.rejects(serveApi(join(dir, 'x'.repeat(107)), fakeProxy(), '1.2.3'), {
    message: /too long, 107 fit/,
  });
  await t.rejects(ask(join(dir, 'x'.repeat(107)), 'GET', '/status'), { message: /too long, 107 fit/ });
});

t.test('something else than a proxy on the socket', async (t) => {
  const path = join(folder(t), 'api.sock');
  const other = createServer((socket) =>
    socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello'),
  ).listen(path);
  t.teardown(() => other.close());
  await once(other, 'listening');
  await t.rejects(ask(path, 'GET', '/status'), { message: /no rtsp-fanout proxy/ });
});

t.test('default place of the socket', async (t) => {
  t.equal(defaultSocketPath(0, { XDG_RUNTIME_DIR: '/run/user/0' }), '/run/rtsp-fanout.sock');
  t.equal(defaultSocketPath(7, { XDG_RUNTIME_DIR: '/run/user/7' }), '/run/user/7/rtsp-fanout.sock');
  t.match(defaultSocketPath(7, {}), /\/rtsp-fanout-7\.sock$/);
});

t.test('nobody answers at the default place: another user may have the proxy', async (t) => {
  const [run, temporary] = [folder(t), folder(t)];
  t.same(defaultSocketsInUse(run, temporary), []);
  t.same(defaultSocketsInUse(join(run, 'none'), join(temporary, 'none')), []);
  const sockets = [
    join(run, 'rtsp-fanout.sock'),
    join(run, 'user', '1000', 'rtsp-fanout.sock'),
    join(temporary, 'rtsp-fanout-65534.sock'),
  ];
  mkdirSync(join(run, 'user', '1000'), { recursive: true });
  mkdirSync(join(run, 'user', '1001'));
  for (const path of [...sockets, join(temporary, 'rtsp-fanout-x.sock')]) writeFileSync(path, '');
  t.same(defaultSocketsInUse(run, temporary), sockets);

  const own = '/somewhere/rtsp-fanout-7.sock';
  const nobody = `no proxy answers on ${own}`;
  const others = '/somewhere/rtsp-fanout-8.sock';
  t.match(nobodyAnswers(own, [own]), `${nobody}: is it running?`);
  t.equal(
    nobodyAnswers(own, [ROOTS_SOCKET, own]),
    `${nobody}, but root's ${ROOTS_SOCKET} is there: use sudo`,
  );
  t.equal(
    nobodyAnswers(own, [own, others]),
    `${nobody}, but another user's is there: use --api-socket ${others}`,
  );
});

/** tap's own folders have names that are too long for a socket. */
function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'api-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

/** A process that listens there and is killed. */
async function dieHolding(path: string): Promise<void> {
  const listen = "require('node:net').createServer().listen(process.argv[1], () => console.log('up'))";
  const child = spawn(process.execPath, ['-e', listen, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
}
