// SPDX-License-Identifier: Apache-2.0
// A source that asks for name and password: what it is answered, how often, and that nobody else sees them.
import t from 'tap';
import { parseCredentials } from '../../../src/control/rtsp/authentication.js';
import { quickTable } from '../../../src/control/config/quick.js';
import { parseRtspUrl } from '../../../src/control/rtsp/url.js';
import { digestSecret, isDigestRight } from '../../../src/control/rtsp/digest.js';
import { response, type RtspRequest } from '../../../src/control/rtsp/message.js';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, PROXY } from '../../fixtures/fake-world.js';

const WHO = { username: 'operator', password: 'pass:word' };
const PATHS = quickTable(parseRtspUrl('rtsp://operator:pass%3Aword@source.example/'));
const TRANSPORT = { Transport: 'RTP/AVP;unicast;client_port=40000-40001' };

/** Lets through what `isRight` accepts, and challenges the rest. */
function guarded(challenges: () => string[], isRight: (request: RtspRequest) => boolean) {
  const inner = fakeSource();
  return (request: RtspRequest) =>
    isRight(request)
      ? inner(request)
      : response(
          401,
          challenges().map((challenge) => ['WWW-Authenticate', challenge] as const),
        );
}

function digestIsRight(
  { method, uri, headers }: RtspRequest,
  nonce: string,
  password = WHO.password,
): boolean {
  const value = headers.get('Authorization');
  const given = value === undefined ? undefined : parseCredentials(value);
  if (given?.scheme !== 'Digest' || given.nonce !== nonce || given.uri !== uri) return false;
  return isDigestRight(given, digestSecret(given.algorithm, { ...WHO, password, realm: 'cam' }), method);
}

t.test(
  'digest: each request is signed with the nonce and its count; a stale one is fetched anew',
  async (t) => {
    let nonce = 'first';
    const challenges = () => [
      'Basic realm="cam"',
      `Digest realm="cam", nonce="${nonce}", algorithm=SHA-256, qop="auth"`,
      `Digest realm="cam", nonce="${nonce}", qop="auth"`,
    ];
    const world = await FakeWorld.start({
      script: guarded(challenges, (request) => digestIsRight(request, nonce)),
      paths: PATHS,
    });
    const viewer = world.viewer();
    t.equal((await viewer.ask('DESCRIBE', `${PROXY}/x`)).status, 200);
    nonce = 'second';
    t.equal((await viewer.ask('SETUP', `${PROXY}/x/v`, TRANSPORT)).status, 200);
    const sent = world.source.requests.map(({ method, headers }) => {
      const value = headers.get('Authorization');
      const given = value === undefined ? undefined : parseCredentials(value);
      return [
        method,
        given?.scheme === 'Digest' ? `${given.algorithm} ${given.nonce} ${given.use!.count}` : '',
      ];
    });
    t.strictSame(sent, [
      ['DESCRIBE', ''],
      ['DESCRIBE', 'SHA-256 first 1'],
      ['SETUP', 'SHA-256 first 2'],
      ['SETUP', 'SHA-256 second 1'],
    ]);
    t.notMatch(
      JSON.stringify([world.proxy.status(), world.proxy.streams(), world.logged]),
      /pass:word|operator/,
    );
    await world.proxy.close();
  },
);

t.test(
  'a wrong password ends at once, whether nonces change or not; without one nothing is tried',
  async (t) => {
    let count = 0;
    const cases: [name: string, nonce: () => string, most: number][] = [
      ['the same nonce', () => 'n', 2],
      ['another each time', () => `n${++count}`, 3],
    ];
    for (const [name, nonce, most] of cases) {
      const script = guarded(
        () => [`Digest realm="cam", nonce="${nonce()}"`],
        () => false,
      );
      const world = await FakeWorld.start({ script, paths: PATHS });
      t.equal((await world.viewer().ask('DESCRIBE', `${PROXY}/x`)).status, 401, name);
      t.equal(world.asked.length, most, name);
      await world.proxy.close();
    }
    const world = await FakeWorld.start({
      script: guarded(
        () => ['Basic realm="cam"'],
        () => false,
      ),
    });
    t.equal((await world.viewer().ask('DESCRIBE', `${PROXY}/x`)).status, 401);
    t.equal(world.asked.length, 1);
    await world.proxy.close();
  },
);

t.test('basic, where the source has nothing better', async (t) => {
  const basic = `Basic ${Buffer.from('operator:pass:word').toString('base64')}`;
  const script = guarded(
    () => ['Basic realm="cam"'],
    ({ headers }) => headers.get('Authorization') === basic,
  );
  const world = await FakeWorld.start({ script, paths: PATHS });
  t.equal((await world.viewer().ask('DESCRIBE', `${PROXY}/x`)).status, 200);
  await world.proxy.close();
});
