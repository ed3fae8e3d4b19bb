// SPDX-License-Identifier: Apache-2.0
// Who may watch: challenges, passwords in all their forms, nonces that age and are not used twice, guesses that are
// counted, hooks. And the HTTP client that asks them.
import t from 'tap';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PathSettings } from '../../../src/control/config/path-config.js';
import type { User } from '../../../src/control/config/user-kinds.js';
import { httpHook } from '../../../src/control/net/http-hook.js';
import type { HookQuestion } from '../../../src/control/path/hook-port.js';
import {
  answerChallenge,
  formatCredentials,
  parseChallenges,
  type Challenge,
  type DigestChallenge,
} from '../../../src/control/rtsp/authentication.js';
import { digestSecret, headerText } from '../../../src/control/rtsp/digest.js';
import type { RtspResponse } from '../../../src/control/rtsp/message.js';
import { parseStoredPassword } from '../../../src/control/rtsp/stored-password.js';
import { Attempts } from '../../../src/control/state/attempts.js';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, NOTHING_LEFT, PROXY, type FakeLink } from '../../fixtures/fake-world.js';

const REALM = 'rtsp-fanout';
const URL_X = `${PROXY}/x`;
const UDP = 'RTP/AVP;unicast;client_port=40000-40001';

const user = (name: string, password: string): User => ({
  name: headerText(name),
  password: parseStoredPassword(password),
});

async function worldWith(settings: Partial<PathSettings>, limits = {}) {
  return FakeWorld.start({ script: fakeSource(), settings, limits });
}

const offered = (answer: RtspResponse): Challenge[] =>
  parseChallenges(answer.headers.getAll('WWW-Authenticate'));
const kinds = (answer: RtspResponse) =>
  offered(answer).map((one) => (one.scheme === 'Digest' ? one.algorithm : one.scheme));

interface Signing {
  readonly challenge: Challenge;
  readonly name?: string;
  readonly password?: string;
  readonly count?: number;
  readonly uri?: string;
}

function sign(method: string, url: string, signing: Signing): string {
  const { challenge, name = 'alice', password = 'secret', count = 1, uri = url } = signing;
  const who = { username: headerText(name), password: headerText(password) };
  return formatCredentials(answerChallenge(challenge, who, { method, uri, count, cnonce: 'c0ffee' }));
}

const describeWith = (viewer: FakeLink, signing: Signing, url = URL_X) =>
  viewer.ask('DESCRIBE', url, { Authorization: sign('DESCRIBE', url, signing) });

async function challengeFor(viewer: FakeLink, scheme = 'MD5'): Promise<Challenge> {
  const answer = await viewer.ask('DESCRIBE', URL_X);
  t.equal(answer.status, 401);
  return offered(answer).find((one) => (one.scheme === 'Digest' ? one.algorithm : one.scheme) === scheme)!;
}

t.test('a viewer of a path with users is asked who it is, wherever it comes from', async (t) => {
  const world = await worldWith({ readUsers: [user('alice', 'secret'), user('müller', 'pässword')] });
  for (const address of ['127.0.0.1', '::1', '203.0.113.9']) {
    const viewer = world.viewer(address);
    t.equal((await viewer.ask('OPTIONS', URL_X)).status, 200, 'OPTIONS tells nothing');
    const answer = await viewer.ask('DESCRIBE', URL_X);
    t.equal(answer.status, 401);
    t.same(kinds(answer), ['SHA-256', 'MD5'], 'strongest first, one field each; no password in the clear');
    t.equal(answer.headers.getAll('WWW-Authenticate').length, 2);
    t.equal((await viewer.ask('SETUP', `${URL_X}/v`, { Transport: UDP })).status, 401);
    for (const [index, challenge] of offered(answer).entries()) {
      const count = index + 1;
      t.equal((await describeWith(viewer, { challenge, count })).status, 200, String(index));
    }
    const [challenge] = offered(answer) as [Challenge];
    t.equal((await describeWith(viewer, { challenge, password: 'wrong', count: 3 })).status, 401);
    t.equal((await describeWith(viewer, { challenge, name: 'bob', count: 3 })).status, 401);
    const named = { challenge, name: 'müller', password: 'pässword', count: 4 };
    t.equal((await describeWith(viewer, named)).status, 200, 'UTF-8');
  }
  t.equal(world.asked.filter((method) => method === 'DESCRIBE').length, 9, 'the source hears of no others');
  const secure = world.viewer();
  secure.secure = true;
  t.same(kinds(await secure.ask('DESCRIBE', URL_X)), ['SHA-256', 'MD5', 'Basic'], 'Basic within TLS');
});

t.test('passwords may be stored hashed; what a form cannot do is not offered', async (t) => {
  const hash = createHash('sha256').update('secret').digest();
  const ha1 = (algorithm: 'MD5' | 'SHA-256') =>
    digestSecret(algorithm, { username: 'alice', realm: REALM, password: 'secret' });
  for (const [stored, methods] of [
    ['secret', ['SHA-256', 'MD5']],
    ['plain:secret', ['SHA-256', 'MD5']],
    [`sha256:${hash.toString('hex')}`, ['Basic']],
    [`sha256:${hash.toString('base64')}`, ['Basic']],
    [`ha1:${ha1('MD5')}`, ['MD5']],
    [`ha1:${ha1('SHA-256')}`, ['SHA-256']],
    [`ha1:${ha1('MD5')},${ha1('SHA-256').toUpperCase()}`, ['SHA-256', 'MD5']],
  ] as const) {
    const world = await worldWith({ readUsers: [user('alice', stored)] });
    const viewer = world.viewer();
    const answer = await viewer.ask('DESCRIBE', URL_X);
    t.same(kinds(answer), methods, stored);
    for (const [index, challenge] of offered(answer).entries()) {
      t.equal((await describeWith(viewer, { challenge, count: index + 1 })).status, 200, stored);
      t.equal((await describeWith(viewer, { challenge, password: 'no', count: 9 })).status, 401, stored);
    }
    const both = await worldWith({ readUsers: [user('alice', stored)], authMethods: ['basic'] });
    const another = both.viewer();
    const basic = await challengeFor(another, 'Basic');
    t.equal((await describeWith(another, { challenge: basic })).status, 200, `Basic with ${stored}`);
    t.equal((await describeWith(another, { challenge: basic, password: 'no' })).status, 401);
  }
  for (const wrong of ['', 'plain:', 'sha256:abc', 'ha1:', 'ha1:12', `ha1:${ha1('MD5')},${ha1('MD5')}`])
    t.throws(() => parseStoredPassword(wrong), Error, wrong);
});

t.test('a nonce is good on its connection, once for each count, until it is too old', async (t) => {
  const world = await worldWith({ readUsers: [user('alice', 'secret')] }, { nonceMs: 60_000 });
  const viewer = world.viewer('203.0.113.1');
  const challenge = (await challengeFor(viewer)) as DigestChallenge;
  t.equal((await describeWith(viewer, { challenge, count: 1 })).status, 200);
  t.equal((await describeWith(viewer, { challenge, count: 5 })).status, 200, 'gaps are nothing wrong');
  const replayed = await describeWith(viewer, { challenge, count: 5 });
  t.equal(replayed.status, 401);
  const [, second] = offered(replayed) as [DigestChallenge, DigestChallenge];
  t.equal(second.stale, true);
  t.not(second.nonce, challenge.nonce);
  t.equal((await describeWith(viewer, { challenge, count: 6 })).status, 401, 'the former nonce has gone');

  const stranger = world.viewer('203.0.113.2');
  const elsewhere = await describeWith(stranger, { challenge: second, count: 1 });
  t.equal(elsewhere.status, 401, 'what is overheard is of no use on another connection');
  t.equal((offered(elsewhere)[0] as DigestChallenge).stale, true);

  const [, third] = offered(await viewer.ask('DESCRIBE', URL_X)) as [DigestChallenge, DigestChallenge];
  t.equal((await describeWith(viewer, { challenge: third, count: 1 })).status, 200);
  await world.advance(59_000, 1000);
  t.equal((await describeWith(viewer, { challenge: third, count: 2 })).status, 200);
  await world.advance(61_000, 1000);
  const old = await describeWith(viewer, { challenge: third, count: 3 });
  t.equal(old.status, 401);
  t.equal((offered(old)[1] as DigestChallenge).stale, true);
  const wrong = await describeWith(viewer, { challenge: third, password: 'no', count: 3 });
  t.equal((offered(wrong)[1] as DigestChallenge).stale, false, 'stale only for who knows the password');
  t.equal((await describeWith(viewer, { challenge: offered(old)[1]!, count: 1 })).status, 200);

  const plain = { ...third, nonce: (offered(old)[1] as DigestChallenge).nonce, qop: false };
  t.equal(
    (await describeWith(viewer, { challenge: plain })).status,
    200,
    'RFC 2069: without qop, as GStreamer',
  );
  t.equal((await describeWith(viewer, { challenge: plain })).status, 200);
});

t.test('each request of a session is checked; an old nonce does not end one', async (t) => {
  const world = await worldWith({ readUsers: [user('alice', 'secret')] }, { nonceMs: 10_000 });
  const viewer = world.viewer('203.0.113.1');
  const challenge = await challengeFor(viewer);
  let count = 0;
  const ask = (link: FakeLink, method: string, url: string, headers: Record<string, string> = {}) =>
    link.ask(method, url, {
      ...headers,
      Authorization: sign(method, url, { challenge, count: ++count, uri: URL_X }),
    });
  const setup = await ask(viewer, 'SETUP', `${URL_X}/v`, { Transport: UDP });
  t.equal(setup.status, 200, 'the uri is that of the whole, as live555 sends it');
  const Session = setup.headers.get('Session')!.split(';')[0]!;
  const more = { Transport: 'RTP/AVP;unicast;client_port=40002-40003', Session };
  t.equal((await ask(viewer, 'SETUP', `${URL_X}/a`, more)).status, 200, 'looked at twice, used once');
  t.equal((await viewer.ask('PLAY', URL_X, { Session })).status, 401);
  t.equal((await ask(viewer, 'PLAY', URL_X, { Session })).status, 200);
  for (let i = 0; i < 4; i++) {
    await world.advance(20_000, 1000);
    const method = i % 2 ? 'OPTIONS' : 'GET_PARAMETER';
    t.equal((await ask(viewer, method, URL_X, { Session })).status, 200, 'kept alive with an old nonce');
  }
  const neighbour = world.viewer('203.0.113.1', 50_001);
  for (const method of ['OPTIONS', 'PAUSE', 'TEARDOWN'])
    t.equal((await neighbour.ask(method, URL_X, { Session })).status, 401, `${method} from beside`);
  t.equal((await ask(neighbour, 'TEARDOWN', URL_X, { Session })).status, 401, 'nor with what was overheard');
  t.equal(world.proxy.clients()[0]!.state, 'playing');
  const other = sign('TEARDOWN', URL_X, { challenge, count: 99, uri: `${PROXY}/y` });
  t.equal((await viewer.ask('TEARDOWN', URL_X, { Session, Authorization: other })).status, 400);
  t.equal((await ask(viewer, 'TEARDOWN', URL_X, { Session })).status, 200);
  viewer.close();
  neighbour.close();
  await world.advance(15_000);
  t.same(world.left, NOTHING_LEFT);
});

t.test('guesses are counted by address and name; nobody else is locked out', async (t) => {
  const readUsers = [user('alice', 'secret'), user('bob', 'hidden')];
  const world = await worldWith({ readUsers, authMethods: ['basic'] }, { attempts: 3, attemptMs: 10_000 });
  const challenge: Challenge = { scheme: 'Basic', realm: REALM };
  const guess = (address: string, name: string, password: string) =>
    describeWith(world.viewer(address), { challenge, name, password });
  for (let i = 0; i < 20; i++) t.equal((await guess('203.0.113.1', 'alice', 'secret')).status, 200);
  for (let i = 0; i < 3; i++) t.equal((await guess('203.0.113.1', 'alice', `wrong ${i}`)).status, 401);
  const refused = await guess('203.0.113.1', 'alice', 'secret');
  t.equal(refused.status, 503, 'not even looked at: a guess would be worth it otherwise');
  t.equal(refused.headers.get('Retry-After'), '10');
  t.equal((await guess('203.0.113.1', 'bob', 'hidden')).status, 200, 'others behind the address');
  t.equal((await guess('203.0.113.2', 'alice', 'secret')).status, 200, 'the same name from elsewhere');
  for (let i = 0; i < 3; i++) t.equal((await guess('203.0.113.1', 'nobody', 'x')).status, 401);
  t.equal(
    (await guess('203.0.113.1', 'nobody', 'x')).status,
    503,
    'an unknown name is treated no differently',
  );
  await world.advance(10_000, 1000);
  t.equal((await guess('203.0.113.1', 'alice', 'secret')).status, 200);
  t.equal(world.proxy.status().refused['authentication-too-many'], 2);
});

t.test('attempts: the bound holds whatever the order, and so does the memory', async (t) => {
  const attempts = new Attempts({ burst: 2, intervalMs: 100, keys: 3 });
  t.equal(attempts.take('a', 0), 0);
  t.equal(attempts.take('a', 0), 0);
  t.equal(attempts.take('a', 0), 100);
  t.equal(attempts.take('a', 60), 40);
  attempts.giveBack('a', 60);
  t.equal(attempts.take('a', 60), 0);
  t.equal(attempts.take('a', 160), 0);
  t.equal(attempts.take('a', 161), 39);
  for (const key of ['b', 'c', 'd']) attempts.take(key, 200);
  t.equal(attempts.size, 3);
  for (const key of ['b', 'c', 'd']) attempts.giveBack(key, 200);
  t.equal(attempts.size, 0);
});

t.test('what cannot be read is a 400, what is not offered is asked for again', async (t) => {
  const world = await worldWith({ readUsers: [user('alice', 'secret')] });
  const viewer = world.viewer();
  const challenge = (await challengeFor(viewer)) as DigestChallenge;
  const ask = async (Authorization: string) =>
    (await viewer.ask('DESCRIBE', URL_X, { Authorization })).status;
  for (const text of ['Bearer x', 'Basic', 'Basic ####', 'Digest username="alice"', 'Digest'])
    t.equal(await ask(text), 400, text);
  t.equal(await ask(`Basic ${Buffer.from('alice:secret').toString('base64')}`), 401, 'not in the clear');
  t.equal(await ask(sign('DESCRIBE', URL_X, { challenge: { ...challenge, realm: 'another' } })), 401);
  t.equal(await ask(sign('DESCRIBE', URL_X, { challenge: { ...challenge, algorithm: 'MD5-sess' } })), 401);
  t.equal(await ask(sign('SETUP', URL_X, { challenge })), 401, 'for another method');
  const { refused } = world.proxy.status();
  t.equal(refused['authentication-wrong'], 1, 'only that was a guess');
  t.match(
    refused,
    { 'request-401': 1, 'authentication-challenged': 4 },
    'who is asked who it is has not been refused yet',
  );
});

t.test('a hook is asked about whom we do not know, once for a connection', async (t) => {
  const world = await worldWith({ readUsers: [user('alice', 'secret')], authHook: 'http://hook.example/' });
  const asked: HookQuestion[] = [];
  world.askHook = async (url, question) => {
    t.equal(url, 'http://hook.example/');
    asked.push(question);
    if (question.address === '203.0.113.66') return 'refused';
    if (question.user === undefined) return 'unknown';
    return question.user === 'carol' && question.password === 'pässword' ? 'allowed' : 'unknown';
  };
  const viewer = world.viewer('203.0.113.1');
  const answer = await viewer.ask('DESCRIBE', `${URL_X}?q=1`, { 'User-Agent': 'a test' });
  t.same(kinds(answer), ['Basic']);
  const [challenge] = offered(answer) as [Challenge];
  const carol = { challenge, name: 'carol', password: 'pässword' };
  t.equal((await describeWith(viewer, carol)).status, 200);
  t.equal((await describeWith(viewer, carol)).status, 200);
  t.equal((await describeWith(viewer, { ...carol, password: 'no' })).status, 401);
  t.equal((await describeWith(viewer, { challenge })).status, 200, 'alice is ours');
  t.equal((await world.viewer('203.0.113.66').ask('DESCRIBE', URL_X)).status, 403);
  const first = {
    action: 'read',
    method: 'DESCRIBE',
    protocol: 'rtsp',
    address: '203.0.113.1',
    port: 50_000,
  };
  t.same(asked, [
    { ...first, path: '/x', query: 'q=1', userAgent: 'a test' },
    { ...first, path: '/x', query: '', user: 'carol', password: 'pässword' },
    { ...first, path: '/x', query: '', user: 'carol', password: 'no' },
    { ...first, path: '/x', query: '', address: '203.0.113.66' },
  ]);
  world.askHook = async () => 'unavailable';
  t.equal((await describeWith(world.viewer(), carol)).status, 503, 'no answer is no yes');
});

t.test('a hook that does Digest itself gets what the client has signed', async (t) => {
  const world = await worldWith({ authHook: 'http://hook.example/', authMethods: ['digest'] });
  const questions: HookQuestion[] = [];
  world.askHook = async (_url, question) => {
    questions.push(question);
    return question.digest ? 'allowed' : 'unknown';
  };
  const viewer = world.viewer();
  const challenge = (await challengeFor(viewer, 'SHA-256')) as DigestChallenge;
  t.equal((await describeWith(viewer, { challenge })).status, 200);
  const { digest, password } = questions.at(-1)!;
  t.match(digest, { realm: REALM, nonce: challenge.nonce, uri: URL_X, algorithm: 'SHA-256', qop: 'auth' });
  t.match(digest, { nc: '00000001', cnonce: 'c0ffee', response: /^[\da-f]{64}$/ });
  t.equal(password, undefined);
  t.equal((await describeWith(viewer, { challenge })).status, 401, 'a replay is not asked about');
  t.equal(questions.length, 2);
});

t.test('the HTTP hook: status, redirects, silence, too many at once', async (t) => {
  const bodies: string[] = [];
  let waiting: (() => void)[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      bodies.push(`${request.method} ${request.headers['content-type']} ${body}`);
      const status = Number(request.url!.slice(1));
      if (!status) return void waiting.push(() => response.end());
      response.writeHead(status, status === 302 ? { location: '/200' } : {}).end('ignored');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const question: HookQuestion = {
    ...{ action: 'read', path: '/x', query: '', method: 'DESCRIBE', protocol: 'rtsp' },
    ...{ address: '203.0.113.1', port: 5 },
  };
  const hook = httpHook({ timeoutMs: 300, atOnce: 2, waiting: 1 });
  for (const [status, verdict] of [
    [200, 'allowed'],
    [204, 'allowed'],
    [401, 'unknown'],
    [403, 'refused'],
    [404, 'refused'],
    [302, 'unavailable'],
    [500, 'unavailable'],
  ] as const)
    t.equal(await hook(`${at}/${status}`, question), verdict, String(status));
  t.equal(bodies[0], `POST application/json ${JSON.stringify(question)}`);
  t.equal(await hook('http://127.0.0.1:1/', question), 'unavailable', 'nobody there');

  const all = [1, 2, 3, 4].map(() => hook(`${at}/0`, question));
  t.equal(await all[3], 'unavailable', 'the fourth is given up at once');
  while (waiting.length < 2) await sleep(5);
  waiting.forEach((end) => end());
  waiting = [];
  t.same(await Promise.all(all.slice(0, 2)), ['allowed', 'allowed']);
  t.equal(await all[2], 'unavailable', 'silence ends after its time');
  t.equal(await hook(`${at}/200`, question), 'allowed', 'and all places are free again');
});
