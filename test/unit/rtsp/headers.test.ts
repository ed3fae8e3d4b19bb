// SPDX-License-Identifier: Apache-2.0
// The header fields and URLs that have a codec of their own: tables of text, value and text again.

import fc from 'fast-check';
import t, { type Test } from 'tap';

import { RtspError } from '../../../src/control/rtsp/errors.js';
import { Headers } from '../../../src/control/rtsp/message.js';
import { formatRange, parseRange } from '../../../src/control/rtsp/range.js';
import { formatRtpInfo, parseRtpInfo } from '../../../src/control/rtsp/rtp-info.js';
import { formatSession, parseSession } from '../../../src/control/rtsp/session.js';
import { reasonPhrase } from '../../../src/control/rtsp/status.js';
import {
  formatTransport,
  parseTransport,
  parseTransportAnswer,
} from '../../../src/control/rtsp/transport.js';
import {
  formatRtspUrl,
  parseRtspUrl,
  resolveControl,
  withAuthority,
  withoutCredentials,
} from '../../../src/control/rtsp/url.js';

function throwsStatus(t: Test, status: number, run: () => unknown, name: string) {
  try {
    run();
    t.fail(`accepted: ${name}`);
  } catch (error) {
    t.ok(error instanceof RtspError && error.framingIntact, name);
    t.equal((error as RtspError).status, status, name);
  }
}

t.test('Headers', (t) => {
  const headers = new Headers([
    ['A', '1'],
    ['b', '2'],
    ['a', '3'],
  ]);
  t.strictSame(
    [headers.get('a'), headers.getAll('A'), headers.has('B'), headers.get('c')],
    ['1', ['1', '3'], true, undefined],
  );
  t.strictSame(
    [...headers.set('a', '4')],
    [
      ['b', '2'],
      ['a', '4'],
    ],
  );
  t.equal(reasonPhrase(454), 'Session Not Found');
  t.end();
});

t.test('URLs', (t) => {
  const plain = { scheme: 'rtsp', user: undefined, password: undefined, port: 554, query: undefined };
  const urls: [text: string, value: object, again?: string][] = [
    ['rtsp://h', { ...plain, host: 'h', path: '' }],
    ['RTSP://H:554/', { ...plain, host: 'H', path: '/' }, 'rtsp://H/'],
    ['rtsp://cam_1.local:/x', { ...plain, host: 'cam_1.local', path: '/x' }, 'rtsp://cam_1.local/x'],
    [
      'rtsp://10.0.0.1:8554/a/b?c=1&d=/x?y',
      { ...plain, host: '10.0.0.1', port: 8554, path: '/a/b', query: 'c=1&d=/x?y' },
    ],
    ['rtsp://h?x/y', { ...plain, host: 'h', path: '', query: 'x/y' }],
    ['rtsp://h/?', { ...plain, host: 'h', path: '/', query: '' }],
    ['rtsp://u:p@ss:w@h/x', { ...plain, user: 'u', password: 'p@ss:w', host: 'h', path: '/x' }],
    ['rtsp://u@[::1]:99/x', { ...plain, user: 'u', host: '::1', port: 99, path: '/x' }],
    ['rtsp://[fe80::1%25eth0]/x', { ...plain, host: 'fe80::1%eth0', path: '/x' }],
    ['rtsps://h/x', { ...plain, scheme: 'rtsps', port: 322, host: 'h', path: '/x' }],
    ['rtspu://h:322/x', { ...plain, scheme: 'rtspu', port: 322, host: 'h', path: '/x' }],
    ['rtsp://h/\xe9#f', { ...plain, host: 'h', path: '/\xe9#f' }],
  ];
  for (const [text, value, again = text] of urls) {
    t.strictSame(parseRtspUrl(text), value, text);
    t.equal(formatRtspUrl(parseRtspUrl(text)), again);
  }
  const bad = [
    '',
    '*',
    '/x',
    'http://h/x',
    'rtsp:/h',
    'rtsp://',
    'rtsp:///x',
    'rtsp://h:0/',
    'rtsp://h:65536/',
    'rtsp://h:x/',
    'rtsp://h:1:2/',
    'rtsp://[::1',
    'rtsp://[::g]/',
    'rtsp://::1/',
    'rtsp://a b/',
    'rtsp://h/a b',
    'rtsp://h/\r\nX: y',
    'rtsp://h/\0',
    'rtsp://h!/',
    'rtsp://u@/x',
    'rtsp://h/\u2603',
  ];
  for (const text of bad) throwsStatus(t, 400, () => parseRtspUrl(text), JSON.stringify(text));
  throwsStatus(t, 414, () => parseRtspUrl(`rtsp://h/${'x'.repeat(5000)}`), 'too long');
  const url = parseRtspUrl('rtsp://u:p@cam/x?q');
  t.equal(formatRtspUrl(withAuthority(url, '::1', 8554)), 'rtsp://[::1]:8554/x?q');
  t.equal(formatRtspUrl(withoutCredentials(url)), 'rtsp://cam/x?q');
  t.end();
});

t.test('a=control against a base', (t) => {
  const table: [base: string, control: string | undefined, url: string][] = [
    ['rtsp://h/x', '*', 'rtsp://h/x'],
    ['rtsp://h/x', undefined, 'rtsp://h/x'],
    ['rtsp://h/x', '', 'rtsp://h/x'],
    ['rtsp://h/x', 'trackID=1', 'rtsp://h/x/trackID=1'],
    ['rtsp://h/x/', 'trackID=1', 'rtsp://h/x/trackID=1'],
    ['rtsp://h/x', '/trackID=1', 'rtsp://h/x/trackID=1'],
    ['rtsp://h/x?a=1', 'trackID=1', 'rtsp://h/x?a=1/trackID=1'],
    ['rtsp://h/x', 'rtsp://other/y', 'rtsp://other/y'],
    ['rtsp://h/x', 'RTSP://other/y', 'RTSP://other/y'],
    ['rtsp://h/x', 'a:b', 'rtsp://h/x/a:b'],
    ['rtsp://h/x', 'track 1', 'rtsp://h/x/track%201'],
    ['rtsp://h/x', 'rtsp://other/y\t%20\xe9', 'rtsp://other/y%09%20\xe9'],
  ];
  for (const [base, control, url] of table) t.equal(resolveControl(base, control), url);
  t.end();
});

t.test('Transport', (t) => {
  const udp = { profile: 'RTP/AVP', lower: 'UDP' };
  const table: [text: string, value: object[], again?: string][] = [
    [
      'RTP/AVP;unicast;client_port=6970-6971',
      [{ ...udp, delivery: 'unicast', clientPort: { low: 6970, high: 6971 } }],
    ],
    [
      'RTP/AVP;unicast;client_port=6970',
      [{ ...udp, delivery: 'unicast', clientPort: { low: 6970, high: undefined } }],
    ],
    [
      'rtp/avp/udp ; Unicast ; Client_Port=1-65535',
      [{ ...udp, delivery: 'unicast', clientPort: { low: 1, high: 65535 } }],
      'RTP/AVP;unicast;client_port=1-65535',
    ],
    [
      'RTP/AVP/TCP;unicast;interleaved=0-1',
      [{ profile: 'RTP/AVP', lower: 'TCP', delivery: 'unicast', interleaved: { low: 0, high: 1 } }],
    ],
    [
      'RTP/AVP;multicast;destination=224.2.0.1;port=3456-3457;ttl=16;layers=2;append',
      [
        {
          ...udp,
          delivery: 'multicast',
          destination: '224.2.0.1',
          port: { low: 3456, high: 3457 },
          ttl: 16,
          layers: 2,
          append: true,
        },
      ],
    ],
    [
      'RTP/AVP;unicast;destination;source=10.0.0.1;client_port=1-2;server_port=3-4;ssrc=0000ABCD;mode="PLAY,RECORD"',
      [
        {
          ...udp,
          delivery: 'unicast',
          destination: '',
          source: '10.0.0.1',
          clientPort: { low: 1, high: 2 },
          serverPort: { low: 3, high: 4 },
          ssrc: 0xabcd,
          mode: ['PLAY', 'RECORD'],
        },
      ],
    ],
    [
      'RTP/AVP;mode=record;x-dynamic=1;__proto__=2;constructor;ssrc=nonsense',
      [{ ...udp, mode: ['RECORD'] }],
      'RTP/AVP;mode="RECORD"',
    ],
    [
      'RTP/SAVPF/TCP;interleaved=4',
      [{ profile: 'RTP/SAVPF', lower: 'TCP', interleaved: { low: 4, high: undefined } }],
    ],
    [
      'MP2T/H2221/UDP;unicast,RTP/AVP;port=0;x,,RTP/AVP;ttl=1',
      [
        { profile: 'MP2T/H2221', lower: 'UDP', delivery: 'unicast' },
        { ...udp, ttl: 1 },
      ],
      'MP2T/H2221;unicast,RTP/AVP;ttl=1',
    ],
  ];
  for (const [text, value, again = text] of table) {
    t.strictSame(parseTransport(text), value, text);
    t.equal(parseTransport(text).map(formatTransport).join(','), again);
  }
  const bad = [
    '',
    ',',
    ';',
    'RTP',
    'RTP/AVP/UDP/X',
    'RTP/AVP;client_port=0-1',
    'RTP/AVP;client_port=65535-65536',
    'RTP/AVP;client_port=',
    'RTP/AVP;client_port=5-4',
    'RTP/AVP;client_port=1-2-3',
    'RTP/AVP;client_port=-1',
    'RTP/AVP;client_port=1e3',
    'RTP/AVP;client_port',
    'RTP/AVP/TCP;interleaved=0-256',
    'RTP/AVP;ttl=256',
    'RTP/AVP;layers=0',
    ' / ;',
  ];
  for (const text of bad) throwsStatus(t, 461, () => parseTransport(text), text);
  t.equal(parseTransport('RTP/AVP,'.repeat(1000)).length, 16, 'bounded');
  t.end();
});

t.test('Transport of an answer: what cannot be read has not been told', (t) => {
  const udp = { profile: 'RTP/AVP', lower: 'UDP', delivery: 'unicast' };
  const table: [parameters: string, more: object][] = [
    ['server_port=6000-6001', { serverPort: { low: 6000, high: 6001 } }],
    ['server_port=6000', { serverPort: { low: 6000, high: undefined } }],
    ['server_port=2-3', { serverPort: { low: 2, high: 3 } }],
    ...['0', '0-0', '0-1', '1', '1-2', '39000-35968', '65536-65537', '', '-', 'x'].map(
      (range): [string, object] => [`server_port=${range}`, {}],
    ),
    ['client_port=0-0;server_port=7000-7001', { serverPort: { low: 7000, high: 7001 } }],
    ['ttl=999;port=0-0;interleaved=256-257;layers=0;ssrc=00000001', { ssrc: 1 }],
  ];
  for (const [parameters, more] of table)
    t.strictSame(parseTransportAnswer(`RTP/AVP;unicast;${parameters}`), { ...udp, ...more }, parameters);
  for (const text of ['', ',', 'RTP', 'RTP/AVP/UDP/X'])
    throwsStatus(t, 461, () => parseTransportAnswer(text), text);
  t.end();
});

t.test('Session', (t) => {
  const table: [text: string, id: string, timeout?: number][] = [
    ['12345678', '12345678'],
    ['Ab$-_.+/=;timeout=60', 'Ab$-_.+/=', 60],
    ['x ; Timeout = 30', 'x', 30],
    ['x;timeout=0', 'x'],
    ['x;timeout=-1', 'x'],
    ['x;timeout=99999999', 'x'],
    ['x;other=1;timeout="5"', 'x', 5],
  ];
  for (const [text, id, timeout] of table) t.strictSame(parseSession(text), { id, timeout }, text);
  for (const text of ['', ';timeout=5', 'a b', 'a,b', 'a"b', 'a\0', 'x'.repeat(257), '\xe9'])
    throwsStatus(t, 454, () => parseSession(text), JSON.stringify(text));
  t.equal(formatSession({ id: 'x', timeout: 60 }), 'x;timeout=60');
  t.equal(formatSession({ id: 'x', timeout: undefined }), 'x');
  t.end();
});

t.test('RTP-Info', (t) => {
  const table: [text: string, value: object[], again?: string][] = [
    [
      'url=rtsp://h/x/1;seq=1;rtptime=2,url=rtsp://h/x/2;seq=65535;rtptime=4294967295',
      [
        { url: 'rtsp://h/x/1', seq: 1, rtptime: 2 },
        { url: 'rtsp://h/x/2', seq: 65535, rtptime: 4294967295 },
      ],
    ],
    ['url=rtsp://h/a,b;c?d=1,2;seq=7', [{ url: 'rtsp://h/a,b;c?d=1,2', seq: 7 }]],
    [
      'url="rtsp://h/a,b;c" ; rtptime=7 ; seq=3 ;',
      [{ url: 'rtsp://h/a,b;c', rtptime: 7, seq: 3 }],
      'url=rtsp://h/a,b;c;seq=3;rtptime=7',
    ],
    [
      'URL=trackID=1, url=trackID=2',
      [{ url: 'trackID=1' }, { url: 'trackID=2' }],
      'url=trackID=1,url=trackID=2',
    ],
    ['url=x;seq=65536;rtptime=4294967296;ssrc=AB', [{ url: 'x' }], 'url=x'],
    ['url=x;seq=;rtptime=-1', [{ url: 'x' }], 'url=x'],
    ['url=x;odd=1;seq=2', [{ url: 'x;odd=1', seq: 2 }]],
    ['seq=1', [], ''],
    ['url=', [], ''],
    ['', [], ''],
  ];
  for (const [text, value, again = text] of table) {
    t.strictSame(parseRtpInfo(text), value, text);
    t.equal(formatRtpInfo(parseRtpInfo(text)), again);
  }
  t.equal(parseRtpInfo('url=x,'.repeat(1000)).length, 64, 'bounded');
  t.end();
});

t.test('Range', (t) => {
  const table: [text: string, value: object, again?: string][] = [
    ['npt=0.000-', { unit: 'npt', start: 0, end: undefined }],
    ['npt=now-', { unit: 'npt', start: 'now', end: undefined }],
    ['npt=1:02:03.4-', { unit: 'npt', start: 3723.4, end: undefined }, 'npt=3723.400-'],
    ['NPT = 5 - 10.25 ;time=19970123T143720Z', { unit: 'npt', start: 5, end: 10.25 }, 'npt=5.000-10.250'],
    ['npt=-20', { unit: 'npt', start: undefined, end: 20 }, 'npt=-20.000'],
    ['npt=7', { unit: 'npt', start: 7, end: undefined }, 'npt=7.000-'],
    ['clock=19961108T142300Z-19961108T143520Z', { unit: 'clock', text: '19961108T142300Z-19961108T143520Z' }],
    ['smpte-25=10:07:00-10:07:33:05.01', { unit: 'smpte-25', text: '10:07:00-10:07:33:05.01' }],
  ];
  for (const [text, value, again = text] of table) {
    t.strictSame(parseRange(text), value, text);
    t.equal(formatRange(parseRange(text)), again);
  }
  for (const text of [
    '',
    'npt',
    'npt=',
    'npt=-',
    '=1-',
    'npt=a-',
    'npt=1-now',
    'npt=1:60:00-',
    'npt=1-2-3',
    'npt=1e3-',
    'npt=99999999999-',
  ])
    throwsStatus(t, 457, () => parseRange(text), text);
  t.end();
});

t.test('any text at all: RtspError or a value, and what was formatted is read alike', (t) => {
  const near = fc
    .array(
      fc.constantFrom(
        'RTP/AVP',
        ';',
        ',',
        '=',
        '-',
        '"',
        ':',
        '[',
        ']',
        '@',
        '?',
        '/',
        ' ',
        '\0',
        'npt',
        'now',
        '0',
        '65536',
        'client_port',
        'mode',
        'url',
        'seq',
        'rtptime',
        'timeout',
        'rtsp://',
        '::1',
        '%25',
        'h',
        '\xe9',
      ),
      { maxLength: 24 },
    )
    .map((words) => words.join(''));
  const codecs: [(text: string) => unknown, (value: never) => string][] = [
    [parseRtspUrl, formatRtspUrl],
    [
      parseTransport,
      (value: Parameters<typeof formatTransport>[0][]) => value.map(formatTransport).join(','),
    ],
    [parseSession, formatSession],
    [parseRange, formatRange],
    [parseRtpInfo, formatRtpInfo],
  ] as never;
  for (const [parse, format] of codecs)
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 60 }),
          near,
          near.map((text) => `RTP/AVP;${text}`),
          near.map((text) => `rtsp://h${text}`),
        ),
        (text) => {
          let value;
          try {
            value = parse(text);
          } catch (error) {
            return error instanceof RtspError;
          }
          const again = format(value as never);
          return again === format(parse(again) as never);
        },
      ),
      { numRuns: 500 },
    );
  t.end();
});
