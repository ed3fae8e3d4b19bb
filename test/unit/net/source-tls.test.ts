// SPDX-License-Identifier: Apache-2.0
// RTSPS towards a source, over real sockets: whose certificate is good, and that nobody else gets a byte.
import t from 'tap';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { connectSource } from '../../../src/control/net/source-connection.js';
import type { SourceTrust } from '../../../src/control/path/ports.js';
import { request } from '../../../src/control/rtsp/message.js';
import { Authority, type Issued } from '../../fixtures/tls.js';

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 4000; i++) {
    if (what()) return;
    await sleep(5);
  }
  throw new Error(`not within twenty seconds: ${what}`);
}

t.test('towards a source: nothing is sent before its certificate has been found good', async (t) => {
  const authority = new Authority(t.testdir());
  const good = authority.issue('IP:127.0.0.1,DNS:localhost');
  const another = authority.issue('DNS:camera.example');
  let got = '';
  const sockets = new Set<Socket>();
  const serve = async ({ certificate, key }: Issued) => {
    const files = { cert: readFileSync(certificate), key: readFileSync(key) };
    const server = createTlsServer(files, (socket) => {
      socket.on('data', (chunk) => {
        got += chunk.toString();
        socket.write('RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n');
      });
      socket.on('error', () => {});
    });
    server.on('connection', (socket) => sockets.add(socket.on('error', () => {})));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
    return (server.address() as AddressInfo).port;
  };
  const [port, wrongName] = [await serve(good), await serve(another)];
  const ask = (to: { host?: string; port: number }, trust: Partial<SourceTrust>) =>
    new Promise<string>((resolve) => {
      const tls = { authority: undefined, fingerprint: undefined, ...trust };
      const link = connectSource(
        { host: '127.0.0.1', ...to, tls },
        {
          opened: () => {},
          frame: () => {},
          message: (message) => {
            resolve(message.kind);
            link.close();
          },
          closed: (why) => resolve(why.message),
        },
      );
      link.send(request('OPTIONS', '*', [['CSeq', '1']]));
    });
  const ca = { authority: authority.certificate };
  t.equal(await ask({ port }, ca), 'response');
  t.equal(await ask({ host: 'localhost', port }, ca), 'response', 'by name');
  t.equal(
    await ask({ port }, { fingerprint: good.fingerprint }),
    'response',
    'by fingerprint, whoever signed',
  );
  t.equal(await ask({ port: wrongName }, { fingerprint: another.fingerprint }), 'response');
  t.equal(await ask({ port }, { ...ca, fingerprint: good.fingerprint }), 'response', 'both');

  got = '';
  t.match(await ask({ port }, {}), /certificate/, 'an authority that nobody knows');
  t.match(await ask({ port: wrongName }, ca), /altnames/, 'another name');
  t.match(await ask({ port: wrongName }, { ...ca, fingerprint: another.fingerprint }), /altnames/);
  t.match(await ask({ port }, { fingerprint: another.fingerprint }), /^its certificate has the fingerprint/);
  t.match(await ask({ port }, { authority: '/nowhere/ca.pem' }), '/nowhere/ca.pem cannot be read: ENOENT');
  t.match(await ask({ port }, { authority: good.key }), /./, 'a file without certificates');
  const gone = connectSource(
    { host: '127.0.0.1', port, tls: { authority: undefined, fingerprint: undefined } },
    { opened: () => {}, frame: () => {}, message: () => {}, closed: () => t.fail('no event after close()') },
  );
  gone.send(request('OPTIONS', '*', [['CSeq', '1']]));
  gone.close();
  await sleep(50);
  t.equal(got, '', 'and none of them got a byte');
  await until(() => [...sockets].every(({ destroyed }) => destroyed));
});
