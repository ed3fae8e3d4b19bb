// SPDX-License-Identifier: Apache-2.0
// Every case of the table, whole, byte by byte and cut at random; what serialize writes is read back; time is linear.

import { isDeepStrictEqual } from 'node:util';

import fc from 'fast-check';
import t, { type Test } from 'tap';

import type { RtspError } from '../../../src/control/rtsp/errors.js';
import { Framer } from '../../../src/control/rtsp/framer.js';
import { Headers, request, response, type RtspMessage } from '../../../src/control/rtsp/message.js';
import { serialize, serializeFrame } from '../../../src/control/rtsp/serialize.js';
import { reasonPhrase } from '../../../src/control/rtsp/status.js';
import { RTSP_CASES, type Outcome } from '../../fixtures/rtsp-cases.js';
import { cut, drain, factsOf, plain, type Seen } from '../../fixtures/rtsp-drain.js';

/** What `seen` shows of what `expected` asks for; the two are equal when the case holds. */
function shown(seen: Seen, expected: Outcome | undefined): unknown {
  const asked = (name: string) => expected !== undefined && name in expected;
  if (seen.kind === 'frame') return { frame: seen.channel, payload: seen.payload };
  if (seen.kind === 'error') {
    const { status, framingIntact, message, cseq, isResponse } = seen.error;
    const says = expected && 'says' in expected && expected.says;
    return {
      error: status,
      intact: framingIntact,
      ...(says && { says: says.test(message) ? says : message }),
      ...(asked('cseq') && { cseq }),
      ...(asked('isResponse') && { isResponse }),
    };
  }
  const wanted = expected && 'headers' in expected && expected.headers;
  const headers = new Headers(seen.headers);
  return {
    [typeof seen.start === 'number' ? 'response' : 'request']: seen.start,
    ...(asked('reason') && { reason: seen.reason }),
    ...(wanted && {
      headers: Object.fromEntries(Object.keys(wanted).map((name) => [name, headers.get(name)])),
    }),
    ...(asked('body') && { body: seen.body }),
  };
}

const ascending = (a: number, b: number) => a - b;

/** A message as it comes back: with the length of its body and a reason. */
function asRead(message: RtspMessage): Seen {
  const length: [string, string][] =
    message.body.length > 0 ? [['Content-Length', `${message.body.length}`]] : [];
  const headers = new Headers([...message.headers, ...length]);
  return plain(
    message.kind === 'request'
      ? { ...message, headers }
      : { ...message, headers, reason: reasonPhrase(message.status) },
  );
}

/** t.strictSame takes 100 ms for a long text, even when all is well. */
function same(t: Test, found: unknown, wanted: unknown, name: string): void {
  if (isDeepStrictEqual(found, wanted)) t.pass(name);
  else t.strictSame(found, wanted, name);
}

t.test('the table of cases', (t) => {
  for (const { name, bytes, limits, expect } of RTSP_CASES) {
    const buffer = Buffer.from(bytes, 'latin1');
    const whole = drain([buffer], limits);
    const seen = whole.map((item, i) => shown(item, expect[i]));
    same(t, seen, expect, name);
    same(t, drain(cut(buffer, buffer.keys()), limits), whole, `${name}, byte by byte`);
    const places = fc.array(fc.nat(buffer.length), { maxLength: 12 });
    fc.assert(
      fc.property(places, (at) => isDeepStrictEqual(drain(cut(buffer, at.sort(ascending)), limits), whole)),
      { numRuns: 10 },
    );
  }
  t.end();
});

t.test('what serialize writes, the framer reads', (t) => {
  const token = fc.stringMatching(/^[A-Z][A-Z_-]{0,20}$/);
  const value = fc.stringMatching(/^[!-~\x80-\xff]([\t -~\x80-\xff]{0,40}[!-~\x80-\xff])?$/);
  const fields = fc.array(
    fc.tuple(
      token.map((name) => `X-${name}`),
      value,
    ),
    { maxLength: 20 },
  );
  const body = fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes));
  const uri = fc.stringMatching(/^[!-~\x80-\xff]{1,60}$/);
  const message: fc.Arbitrary<RtspMessage> = fc.oneof(
    fc.tuple(token, uri, fields, body).map((parts) => request(...parts)),
    fc.tuple(fc.constantFrom(200, 250, 404, 551, 299), fields, body).map((parts) => response(...parts)),
  );
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 5 }),
      fc.array(fc.nat(8000), { maxLength: 9 }),
      (messages, at) => {
        const bytes = Buffer.concat(messages.map(serialize));
        const places = at.filter((place) => place <= bytes.length).sort(ascending);
        return isDeepStrictEqual(drain(cut(bytes, places)), messages.map(asRead));
      },
    ),
    { numRuns: 200 },
  );
  t.end();
});

t.test('serialize', (t) => {
  const text = (message: RtspMessage) => serialize(message).toString('latin1');
  t.equal(text(request('OPTIONS', '*', [['CSeq', '1']])), 'OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n');
  t.equal(text(response(461)), 'RTSP/1.0 461 Unsupported Transport\r\n\r\n');
  t.equal(text(response(499)), 'RTSP/1.0 499 Client Error\r\n\r\n');
  t.equal(
    text(response(200, [['content-length', '77']], Buffer.from('abc'), 'Fine')),
    'RTSP/1.0 200 Fine\r\nContent-Length: 3\r\n\r\nabc',
    'the length is that of the body, whatever the header said',
  );
  for (const evil of ['a\r\nX: b', 'a\nb', 'a\rb', 'a\0b', 'a\x7fb', 'snow \u2603']) {
    t.throws(() => serialize(response(200, [['X', evil]])), TypeError, JSON.stringify(evil));
    t.throws(() => serialize(response(200, [[evil, 'x']])), TypeError);
    t.throws(() => serialize(response(200, [], Buffer.alloc(0), evil)), TypeError);
    t.throws(() => serialize(request('PLAY', evil)), TypeError);
    t.throws(() => serialize(request(evil, '*')), TypeError);
  }
  t.throws(() => serialize(request('PLAY', 'a b')), TypeError);
  t.throws(() => serialize(request('PLAY', '')), TypeError);
  t.throws(() => serialize(response(99)), TypeError);
  t.strictSame(
    serializeFrame({ kind: 'frame', channel: 3, payload: Buffer.from('ab') }),
    Buffer.from('$\x03\0\x02ab'),
  );
  t.throws(() => serializeFrame({ kind: 'frame', channel: 256, payload: Buffer.alloc(0) }), RangeError);
  t.throws(() => serializeFrame({ kind: 'frame', channel: 0, payload: Buffer.alloc(65536) }), RangeError);
  t.end();
});

t.test('a broken framer stays broken and holds nothing', (t) => {
  const framer = new Framer();
  framer.push(Buffer.from('PLAY * RTSP/1.0\r\nContent-Length: x\r\n\r\n'));
  const errors = [0, 1].map(() => {
    try {
      return framer.next();
    } catch (error) {
      framer.push(Buffer.from('OPTIONS * RTSP/1.0\r\n\r\n'));
      return factsOf(error as RtspError);
    }
  });
  t.match(errors, [
    { status: 400, framingIntact: false },
    { status: 400, framingIntact: false },
  ]);
  t.end();
});

t.test('views that were handed out do not change', (t) => {
  const framer = new Framer();
  framer.push(Buffer.from('$\0\0'));
  framer.push(Buffer.from('\x02ab$\0'));
  const first = framer.next();
  framer.push(Buffer.from('\0\x02cd'));
  const second = framer.next();
  for (let i = 0; i < 2000; i++) {
    framer.push(Buffer.from('xx'));
  }
  t.match([first, second], [{ payload: Buffer.from('ab') }, { payload: Buffer.from('cd') }]);
  t.end();
});

t.test('four times the bytes take about four times as long, one at a time', (t) => {
  const limits = { head: 1e6, headerCount: 1e6, body: 1e6 };
  const time = (length: number) => {
    const fields = Array.from({ length: length / 5 }, () => ['A', ''] as const);
    const bytes = serialize(request('ANNOUNCE', 'rtsp://h/x', fields, Buffer.alloc(length)));
    const begin = process.cpuUsage().user;
    t.equal(drain(cut(bytes, bytes.keys()), limits).length, 1);
    return process.cpuUsage().user - begin;
  };
  time(40_000); // warm
  const small = time(40_000);
  const large = time(160_000);
  t.ok(large < 10 * small, `${small} us, then ${large} us: quadratic time would be 16 times as long`);
  t.end();
});
