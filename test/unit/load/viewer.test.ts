// SPDX-License-Identifier: Apache-2.0
// A viewer of the load generator at a server that asks who it is, and at one that speaks RTSPS.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { createServer as createTlsServer } from 'node:tls';
import { parseCredentials } from '../../../src/control/rtsp/authentication.js';
import { digestSecret, isDigestRight } from '../../../src/control/rtsp/digest.js';
import { response, type RtspRequest } from '../../../src/control/rtsp/message.js';
import { Viewer, type ViewerOptions } from '../../../tools/load/viewer.js';
import { FakeServer } from '../../fixtures/fake-server.js';
import { fakeSource, type Script } from '../../fixtures/fake-source.js';
import { Authority, type Issued } from '../../fixtures/tls.js';

const METHODS = ['DESCRIBE', 'SETUP', 'SETUP', 'PLAY', 'TEARDOWN'];
const WHO = { username: 'operator', realm: 'cam', password: 'pass@word' };
/** Nothing is sent to these ports. */
const OPTIONS: ViewerOptions = { timeoutMs: 5000, openPorts: async () => 31_100 };

function isSigned({ method, uri, headers }: RtspRequest): boolean {
  const value = headers.get('Authorization');
  const given = value === undefined ? undefined : parseCredentials(value);
  if (given?.scheme === 'Basic') return given.username === WHO.username && given.password === WHO.password;
  return (
    given?.scheme === 'Digest' &&
    given.uri === uri &&
    isDigestRight(given, digestSecret(given.algorithm, WHO), method)
  );
}

async function server(t: Test, challenge?: string) {
  const usual = fakeSource();
  const guarded: Script = (request) =>
    isSigned(request) ? usual(request) : response(401, [['WWW-Authenticate', challenge!]]);
  const answers = challenge === undefined ? {} : Object.fromEntries(METHODS.map((name) => [name, guarded]));
  const started = await FakeServer.start({ answers });
  t.teardown(() => started.close());
  return started;
}

/** In front of that server. */
async function tls(t: Test, { port }: FakeServer, { certificate, key }: Issued): Promise<number> {
  const files = { cert: readFileSync(certificate), key: readFileSync(key) };
  const door = createTlsServer(files, (socket) => {
    const inner = connect(port, '127.0.0.1').on('error', () => {});
    socket.on('error', () => inner.destroy()).pipe(inner);
    inner.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(door, 'listening');
  t.teardown(() => door.close());
  return (door.address() as AddressInfo).port;
}

for (const challenge of ['Digest realm="cam", nonce="n", qop="auth"', 'Basic realm="cam"'])
  t.test(`name and password, asked by ${challenge}`, async (t) => {
    const asked = await server(t, challenge);
    const { port, requests } = asked;
    const viewer = new Viewer(`rtsp://operator:pass%40word@127.0.0.1:${port}/x`, OPTIONS);
    await viewer.play();
    await viewer.teardown();
    t.strictSame(asked.methods, ['DESCRIBE', ...METHODS], 'challenged once');
    t.ok(requests.slice(1).every(isSigned));
    t.notMatch(requests.map(({ uri }) => uri).join(), /operator|word/, 'and they stand nowhere else');

    const before = requests.length;
    const wrong = new Viewer(`rtsp://operator:wrong@127.0.0.1:${port}/x`, OPTIONS);
    await t.rejects(wrong.play(), { message: 'DESCRIBE: 401 Unauthorized' });
    const nobody = new Viewer(`rtsp://127.0.0.1:${port}/x`, OPTIONS);
    await t.rejects(nobody.play(), { message: 'DESCRIBE: 401 Unauthorized' });
    t.equal(requests.length - before, 3, 'it does not ask for ever');
  });

t.test('rtsps: who the server is comes first', async (t) => {
  const authority = new Authority(t.testdir());
  const issued = authority.issue('IP:127.0.0.1');
  const inner = await server(t);
  const port = await tls(t, inner, issued);
  const play = async (trust: ViewerOptions['trust']) => {
    const viewer = new Viewer(`rtsps://127.0.0.1:${port}/x`, { ...OPTIONS, trust });
    await viewer.play();
    await viewer.teardown();
  };
  const [ca, { fingerprint }] = [authority.certificate, issued];
  await play({ authority: ca, fingerprint: undefined });
  await play({ authority: undefined, fingerprint });
  const asked = inner.requests.length;
  await t.rejects(play(undefined), /certificate/, 'signed by nobody that is known');
  await t.rejects(play({ authority: undefined, fingerprint: '00' }), /has the fingerprint/);
  await t.rejects(play({ authority: 'nowhere.pem', fingerprint: undefined }), {
    message: 'nowhere.pem cannot be read: ENOENT',
  });
  t.equal(inner.requests.length, asked, 'and they asked it nothing');
  const plain = new Viewer(`rtsps://127.0.0.1:${inner.port}/x`, { ...OPTIONS, timeoutMs: 300 });
  await t.rejects(plain.play(), { message: 'connect: no answer' }, 'of a server that does not speak it');
});
