// SPDX-License-Identifier: Apache-2.0
// RTSP over HTTP, the pure part: base64 in any pieces, heads, and what the first bytes of a connection tell.
import t from 'tap';
import fc from 'fast-check';
import { RtspError } from '../../../src/control/rtsp/errors.js';
import { Base64Decoder, beginsWithHttp, parseTunnelHead } from '../../../src/control/rtsp/tunnel.js';

const get = (cookie: string) =>
  `GET /clip HTTP/1.0\r\nx-sessioncookie: ${cookie}\r\nAccept: application/x-rtsp-tunnelled\r\n\r\n`;
const post = (cookie: string) =>
  `POST /clip HTTP/1.0\r\nX-SessionCookie: ${cookie}\r\nContent-Length: 32767\r\n\r\n`;

function statusOf(run: () => unknown): number {
  try {
    run();
    return 200;
  } catch (error) {
    return (error as RtspError).status;
  }
}

t.test('base64 comes in any pieces, padded wherever a message ends', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 }),
      fc.array(fc.nat({ max: 50 })),
      fc.constantFrom('', '\r\n', ' '),
      (messages, cuts, blank) => {
        const text = messages.map((bytes) => Buffer.from(bytes).toString('base64')).join(blank);
        const decoder = new Base64Decoder();
        const parts: Buffer[] = [];
        let from = 0;
        for (const cut of [...cuts, text.length]) {
          parts.push(decoder.decode(Buffer.from(text.slice(from, from + cut))));
          from += cut;
        }
        return Buffer.concat(parts).equals(Buffer.concat(messages));
      },
    ),
  );
  for (const wrong of ['abc$', 'a===', '====', 'ab=c', '=abc', 'ab\x00d', 'QQ==Q=Q='])
    t.equal(
      statusOf(() => new Base64Decoder().decode(Buffer.from(wrong))),
      400,
    );
});

t.test('the first bytes tell HTTP from RTSP', async (t) => {
  const tell = (text: string) => beginsWithHttp(Buffer.from(text));
  for (const text of ['', 'G', 'GET', 'P', 'POST']) t.equal(tell(text), undefined, text);
  for (const text of ['GET /', 'GET ', 'POST /x']) t.equal(tell(text), true, text);
  for (const text of ['GET_', 'OPTIO', '$', 'PLAY', 'POSTS', 'get /', '\r\n'])
    t.equal(tell(text), false, text);
});

t.test('the head of a tunnel', async (t) => {
  const head = (text: string) => parseTunnelHead(Buffer.from(text));
  t.same(head(get('abc')), { method: 'GET', cookie: 'abc', length: get('abc').length });
  t.same(head(`${post('x y'.slice(0, 1))}QUJD`)?.length, post('x').length);
  t.same(head('GET / HTTP/1.1\nX-SESSIONCOOKIE:abc\n\n')?.cookie, 'abc', 'LF alone');
  t.equal(head(get('abc').slice(0, -1)), undefined);
  t.equal(
    statusOf(() => head('GET / HTTP/1.1\r\nHost: x\r\n\r\n')),
    400,
  );
  t.equal(
    statusOf(() => head('GET / HTTP/2.0\r\nx-sessioncookie: a\r\n\r\n')),
    400,
  );
  t.equal(
    statusOf(() => head('GET  HTTP/1.0\r\nx-sessioncookie: a\r\n\r\n')),
    400,
  );
  t.equal(
    statusOf(() => head(`GET / HTTP/1.0\r\nx-sessioncookie: ${'a'.repeat(129)}\r\n\r\n`)),
    400,
  );
  t.equal(
    statusOf(() => head(`GET /${'a'.repeat(9000)}`)),
    431,
  );
});
