// SPDX-License-Identifier: Apache-2.0
// Multipath TCP on both sides over real sockets: who speaks it, who does not, and connections that do not come about.
import t, { type Test } from 'tap';
import { once } from 'node:events';
import { connect, type Server, type Socket } from 'node:net';
import { readFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:tls';
import { descriptorOf } from '../../../src/control/net/held-sockets.js';
import { boundMptcpSocket, mptcpObstacle, subflowsOf } from '../../../src/control/net/mptcp.js';
import { connectSource } from '../../../src/control/net/source-connection.js';
import { addressOf, openServer } from '../../../src/control/net/tcp-server.js';
import type { SourceAddress } from '../../../src/control/path/ports.js';
import { request } from '../../../src/control/rtsp/message.js';
import { Authority } from '../../fixtures/tls.js';

const obstacle = mptcpObstacle();
const skip = obstacle === undefined ? false : `no MPTCP here: ${obstacle}`;

/** Answers each request; resolves with what it saw of the connection that comes next. */
async function server(t: Test, mptcp: boolean, anywhere = false) {
  const opened = await openServer({ host: anywhere ? undefined : '127.0.0.1', port: 0, mptcp }, undefined);
  const arrivals: Socket[] = [];
  opened.on('connection', (socket: Socket) => {
    arrivals.push(socket.on('error', () => undefined));
    socket.on('data', () => socket.write('RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n'));
  });
  t.teardown(() => {
    for (const socket of arrivals) socket.destroy();
    opened.close();
  });
  return { opened, arrivals, port: addressOf(opened).port };
}

/** What became of it: the paths of an open connection, or why there is none. */
function ask(to: SourceAddress, mptcp = true) {
  return new Promise<number | undefined | string>((resolve) => {
    let opened = 0;
    const link = connectSource(
      to,
      {
        opened: (local, remote) => {
          opened++;
          if (local.address !== remote.address) resolve(`${local.address} to ${remote.address}`);
        },
        frame: () => {},
        message: () => {
          resolve(opened === 1 ? link.subflows : `opened ${opened} times`);
          link.close();
        },
        closed: (why) => resolve(why.message),
      },
      { mptcp },
    );
    link.send(request('OPTIONS', '*', [['CSeq', '1']]));
  });
}

t.test('each side speaks it only with who does', { skip }, async (t) => {
  const both = await server(t, true);
  const plain = await server(t, false);
  const to = (port: number) => ({ host: '127.0.0.1', port });
  t.equal(await ask(to(both.port)), 1, 'both');
  t.equal(subflowsOf(descriptorOf(both.arrivals[0]!)), 1);
  t.equal(await ask(to(both.port), false), undefined, 'who comes without is let in');
  t.equal(subflowsOf(descriptorOf(both.arrivals[1]!)), undefined);
  t.equal(await ask(to(plain.port)), undefined, 'who serves without is reached');
  t.equal(subflowsOf(-1), undefined);
});

t.test('a name with several addresses, of which the last is listened on', { skip }, async (t) => {
  const { port } = await server(t, true);
  t.equal(await ask({ host: 'localhost', port }), 1);
});

t.test('all addresses, both families; taken ports are told', { skip }, async (t) => {
  const { port, opened } = await server(t, true, true);
  t.equal(await ask({ host: '127.0.0.1', port }), 1);
  const { address } = addressOf(opened);
  if (address === '::') t.equal(await ask({ host: '::1', port }), 1);
  await t.rejects(openServer({ host: '127.0.0.1', port, mptcp: true }, undefined), /the port is in use/);
  await t.rejects(
    openServer({ host: '192.0.2.77', port, mptcp: true }, undefined),
    /not an address of this host/,
  );
});

t.test('nobody there, and a connection that is closed before it is open', { skip }, async (t) => {
  const { port, arrivals, opened } = await server(t, true);
  opened.close();
  await once(opened, 'close');
  t.match(await ask({ host: '127.0.0.1', port }), /ECONNREFUSED/);
  t.match(await ask({ host: 'name.invalid', port }), /name.invalid/);
  let events = 0;
  const happened = () => void events++;
  const link = connectSource(
    { host: '127.0.0.1', port },
    { opened: happened, message: happened, frame: happened, closed: happened },
    { mptcp: true },
  );
  link.send(request('OPTIONS', '*'));
  t.equal(link.subflows, undefined);
  link.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(events, 0, 'no event comes after close()');
  t.equal(arrivals.length, 0);
});

t.test('TLS upon it', { skip }, async (t) => {
  const authority = new Authority(t.testdir());
  const { certificate, key } = authority.issue('IP:127.0.0.1');
  const files = { cert: readFileSync(certificate), key: readFileSync(key) };
  const secure: Server = createTlsServer(files, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => socket.write('RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n'));
  });
  secure.listen({ fd: boundMptcpSocket('127.0.0.1', 0) });
  await once(secure, 'listening');
  t.teardown(() => secure.close());
  const { port } = addressOf(secure);
  const tls = { authority: authority.certificate, fingerprint: undefined };
  t.equal(await ask({ host: '127.0.0.1', port, tls }), 1);
  t.match(
    await ask({ host: '127.0.0.1', port, tls: { ...tls, authority: undefined } }),
    /certificate/,
    'whose certificate is looked at',
  );
  const unspoken = connect(port, '127.0.0.1');
  await once(unspoken, 'connect');
  unspoken.destroy();
});
