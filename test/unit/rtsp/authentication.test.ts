// SPDX-License-Identifier: Apache-2.0
// Challenges and credentials: the RFCs' own examples, what peers send, and what a server must refuse.

import fc from 'fast-check';
import t from 'tap';

import {
  answerChallenge,
  formatChallenge,
  formatCredentials,
  parseChallenges,
  parseCredentials,
  type DigestCredentials,
} from '../../../src/control/rtsp/authentication.js';
import { digestSecret, headerText, isDigestRight, isSameSecret } from '../../../src/control/rtsp/digest.js';
import { RtspError } from '../../../src/control/rtsp/errors.js';

const NONCE = 'dcd98b7102dd2f0e8b11d0f600bfb0c093';
const RFC_2617 = {
  username: 'Mufasa',
  password: 'Circle Of Life',
  uri: '/dir/index.html',
  cnonce: '0a4f113b',
};
const RFC_7616 = {
  username: 'Mufasa',
  password: 'Circle of Life',
  uri: '/dir/index.html',
  cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
};
const CHALLENGE_7616 =
  'realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", ' +
  'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"';

t.test("the RFCs' examples", (t) => {
  const examples: [challenge: string, who: typeof RFC_2617, response: string][] = [
    [
      `Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="${NONCE}", opaque="5ccc"`,
      RFC_2617,
      '6629fae49393a05397450978507c4ef1',
    ],
    [
      `Digest realm="testrealm@host.com", nonce="${NONCE}"`,
      { ...RFC_2617, password: 'CircleOfLife' },
      '1949323746fe6a43ef61f9606e7febea',
    ],
    [`Digest ${CHALLENGE_7616}, algorithm=MD5`, RFC_7616, '8ca523f5e9506fed4657c9700eebdbec'],
    [
      `Digest ${CHALLENGE_7616}, algorithm=SHA-256`,
      RFC_7616,
      '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1',
    ],
  ];
  for (const [text, who, response] of examples) {
    const [challenge] = parseChallenges([text]);
    const credentials = answerChallenge(challenge!, who, {
      method: 'GET',
      uri: who.uri,
      count: 1,
      cnonce: who.cnonce,
    });
    t.match(credentials, { response }, text);
    const read = parseCredentials(formatCredentials(credentials)) as DigestCredentials;
    t.strictSame(read, credentials, 'as it is written');
    const secret = digestSecret(read.algorithm, { ...who, realm: read.realm });
    t.equal(isDigestRight(read, secret, 'GET'), true);
    t.equal(isDigestRight(read, secret, 'PLAY'), false, 'for that method only');
    t.equal(isDigestRight({ ...read, uri: '/other' }, secret, 'GET'), false, 'for that URL only');
    t.equal(isDigestRight(read, secret.replace(/^./, 'x'), 'GET'), false);
  }
  t.match(parseCredentials('Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='), {
    username: 'Aladdin',
    password: 'open sesame',
  });
  t.equal(headerText('test'), 'test');
  const basic = formatCredentials({ scheme: 'Basic', username: 'test', password: headerText('123£') });
  t.equal(basic, 'Basic dGVzdDoxMjPCow==', 'RFC 7617 2.1');
  t.end();
});

t.test('challenges, strongest first', (t) => {
  const schemes = (...fields: string[]) =>
    parseChallenges(fields).map((c) =>
      c.scheme === 'Basic' ? 'Basic' : `${c.algorithm}${c.qop ? ' auth' : ''}`,
    );
  t.strictSame(
    schemes('Basic realm="a"', 'Digest realm="a", nonce="n"'),
    ['MD5', 'Basic'],
    'in fields of their own',
  );
  t.strictSame(
    schemes(
      'Basic realm="a, b", Digest realm = "a", nonce="n" , algorithm="md5", digest nonce="m",algorithm=sha-256,qop=auth',
    ),
    ['SHA-256 auth', 'MD5', 'Basic'],
    'in one field, in any case, with blanks, quoted or not',
  );
  t.strictSame(
    schemes('Negotiate', 'NTLM abc==', '', 'realm="a"', ',,', 'Digest realm="a"'),
    [],
    'none of ours',
  );
  t.strictSame(schemes('Digest nonce="n", algorithm=SHA3, qop="auth"'), [], 'an algorithm of the future');
  t.strictSame(schemes('Digest nonce="n", qop="auth-int"'), [], 'bodies are not hashed');
  t.strictSame(schemes('Digest nonce="n", qop=""'), ['MD5'], 'an empty qop is none');
  t.match(parseChallenges(['Digest nonce="n", stale=TRUE, realm="x\\"y\\\\"']), [
    { stale: true, realm: 'x"y\\' },
  ]);
  t.match(
    parseChallenges(['Digest nonce="n", nonce="m", stale="false"']),
    [{ stale: false, nonce: 'n' }],
    'the first counts',
  );
  t.end();
});

t.test('credentials that are refused', (t) => {
  const whole = 'Digest username="u", realm="r", nonce="n", uri="/", response="00"';
  t.ok(parseCredentials(whole));
  for (const part of ['username', 'realm', 'nonce', 'uri', 'response'])
    t.throws(
      () => parseCredentials(whole.replace(new RegExp(`${part}="[^"]*"`), 'x=1')),
      RtspError,
      `no ${part}`,
    );
  for (const more of [
    'algorithm=MD4',
    'qop=auth-int',
    'qop=auth',
    'qop=auth, nc=1, cnonce="c"',
    'algorithm=MD5-sess',
  ])
    t.throws(() => parseCredentials(`${whole}, ${more}`), RtspError, more);
  t.throws(
    () => parseCredentials(`${whole}, qop=auth, nc=00000000, cnonce="c"`),
    RtspError,
    'nc begins with 1',
  );
  for (const value of ['', 'Basic', 'Basic !', 'Basic YWJj', 'Bearer x', 'Digest'])
    t.throws(() => parseCredentials(value), RtspError, value || 'nothing');
  t.equal(isSameSecret('a', 'a'), true);
  t.equal(isSameSecret('a', 'ab'), false, 'of any length');
  t.end();
});

t.test('any text goes through', (t) => {
  const text = fc.string({ unit: 'grapheme' }).map(headerText);
  fc.assert(
    fc.property(
      text,
      text,
      text,
      fc.constantFrom('MD5' as const, 'SHA-256-sess' as const),
      (realm, nonce, username, algorithm) => {
        const challenge = {
          scheme: 'Digest' as const,
          realm,
          nonce,
          opaque: username,
          algorithm,
          qop: true,
          stale: true,
        };
        t.strictSame(
          parseChallenges([formatChallenge(challenge), formatChallenge({ scheme: 'Basic', realm })]),
          [challenge, { scheme: 'Basic', realm }],
        );
        const who = { username, password: nonce };
        const credentials = answerChallenge(challenge, who, {
          method: 'PLAY',
          uri: 'rtsp://h/,"',
          count: 7,
          cnonce: 'c',
        });
        t.strictSame(parseCredentials(formatCredentials(credentials)), credentials);
      },
    ),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 200 }),
      (field) => void parseChallenges([`Digest ${field}`]),
    ),
  );
  t.end();
});
