// SPDX-License-Identifier: Apache-2.0
// What is read of a session description, what is translated in it, and that all else stays byte for byte.

import fc from 'fast-check';
import t from 'tap';

import { SdpError } from '../../../src/control/rtsp/errors.js';
import { describeSdp } from '../../../src/control/rtsp/sdp.js';
import { translateSdp } from '../../../src/control/rtsp/sdp-translate.js';

const GSTREAMER = [
  'v=0',
  'o=- 13815204340853512041 1 IN IP4 10.0.0.1',
  's=Session streamed with GStreamer',
  'i=rtsp-server',
  't=0 0',
  'a=tool:GStreamer',
  'a=type:broadcast',
  'a=control:*',
  'a=range:npt=0-8.000000000',
  'm=video 0 RTP/AVP 96 97',
  'c=IN IP4 0.0.0.0',
  'b=AS:1000',
  'a=rtpmap:96 H264/90000',
  'a=rtpmap:97 rtx/90000',
  'a=framerate:25',
  'a=fmtp:96 packetization-mode=1;profile-level-id=4d401e;sprop-parameter-sets=Z01AHpWgUAW6EAAAAwAQAAADAyjxYuo=,aO88gA==',
  'a=control:stream=0',
  'm=audio 0 RTP/AVP 0',
  'c=IN IP4 0.0.0.0',
  'a=control:stream=1',
  '',
].join('\r\n');

/** No line ends alike; several ports; odd attributes; controls of all kinds; a multicast address. */
const ODD =
  'v=0\no=x 1 2 IN IP6 fe80::1\r\ns=\xfc - m=audio 5 c=IN IP4 1.2.3.4\nc=IN IP4 224.2.1.1/127/3\r\n' +
  'a=control: rtsp://10.0.0.1:8554/x?q=1\r\nX-unknown\r\n\r\nm=video 49170/2 RTP/AVP 31 \na=control:rtsp://10.0.0.1/x/1;a=b\r\n' +
  'a=range:npt=now-\na=rtpmap:31 a=control:rtsp://no/\nm=audio 0/0 RTP/SAVP 101\r\nc=IN IP6 ::\na=rtpmap:101 opus/48000/2\r' +
  'm=x-application  0 TCP/X-Y z';

t.test('describeSdp', (t) => {
  t.strictSame(describeSdp(GSTREAMER), {
    control: '*',
    range: { unit: 'npt', start: 0, end: 8 },
    live: false,
    media: [
      {
        media: 'video',
        port: 0,
        protocol: 'RTP/AVP',
        payloads: [
          { type: 96, encoding: 'H264', clockRate: 90_000 },
          { type: 97, encoding: 'rtx', clockRate: 90_000 },
        ],
        clockRate: 90_000,
        control: 'stream=0',
        address: '0.0.0.0',
        rtcpMux: false,
        answersReferenceTime: false,
        direction: 'sendrecv',
        descriptorId: undefined,
      },
      {
        media: 'audio',
        port: 0,
        protocol: 'RTP/AVP',
        payloads: [{ type: 0, encoding: 'PCMU', clockRate: 8000 }],
        clockRate: 8000,
        control: 'stream=1',
        address: '0.0.0.0',
        rtcpMux: false,
        answersReferenceTime: false,
        direction: 'sendrecv',
        descriptorId: undefined,
      },
    ],
  });
  const odd = describeSdp(ODD);
  t.match(odd, { control: 'rtsp://10.0.0.1:8554/x?q=1', live: true, range: { unit: 'npt', start: 'now' } });
  t.match(odd.media, [
    { media: 'video', clockRate: 90_000, control: 'rtsp://10.0.0.1/x/1;a=b', address: '224.2.1.1' },
    { media: 'audio', protocol: 'RTP/SAVP', clockRate: 48_000, control: undefined, address: '::' },
    { media: 'x-application', protocol: 'TCP/X-Y', payloads: [], clockRate: 0, address: '224.2.1.1' },
  ]);
  t.equal(odd.media[0]?.port, 49_170);
  t.equal(describeSdp('m=video 65536 RTP/AVP 96\n').media[0]?.port, 0);
  t.equal(describeSdp('m=video 0 RTP/AVP 96\na=range:nonsense\n').live, true);
  t.equal(describeSdp('m=video 0 RTP/AVP 96\na=control:0\n').media[0]?.control, '0');
  t.equal(describeSdp('m=video 0 RTP/AVP 96\na=rtpmap:96 H264/99999999999\n').media[0]?.clockRate, 0);
  for (const bad of [
    '',
    'hello',
    'v=0\r\n',
    'm=\r\n',
    'm=video\r\n',
    'm=video x RTP/AVP 96\r\n',
    'm=a 0 b c\r\n'.repeat(65),
  ])
    t.throws(() => describeSdp(bad), SdpError, JSON.stringify(bad));
  t.end();
});

t.test('translateSdp', (t) => {
  const asked: string[] = [];
  const rewriteControl = (url: string) => `[${asked.push(url)}]`;
  t.equal(
    translateSdp(GSTREAMER, { address: '192.0.2.7', family: 4, rewriteControl }),
    GSTREAMER.replace('10.0.0.1', '192.0.2.7'),
  );
  t.strictSame(asked, []);
  t.equal(
    translateSdp(ODD, { address: '2001:db8::$&', family: 6, rewriteControl }),
    ODD.replace('IP6 fe80::1', () => 'IP6 2001:db8::$&')
      .replace('IP4 224.2.1.1/127/3', () => 'IP6 2001:db8::$&')
      .replace('rtsp://10.0.0.1:8554/x?q=1', '[1]')
      .replace('49170/2', '0/2')
      .replace('rtsp://10.0.0.1/x/1;a=b', '[2]'),
  );
  t.strictSame(asked, ['rtsp://10.0.0.1:8554/x?q=1', 'rtsp://10.0.0.1/x/1;a=b']);
  t.equal(
    translateSdp('a=source-filter: incl IN IP4 * 10.0.0.1\r\na=x\r\na=source-filter:y', {
      ...{ address: '192.0.2.7', family: 4, rewriteControl },
    }),
    'a=x\r\n',
    "who may send to the source's group is none of our viewers' business",
  );
  t.equal(
    translateSdp('a=control:track 1 \r\na=control:rtsp://10.0.0.1/a b', {
      ...{ address: '192.0.2.7', family: 4, rewriteControl: (url: string) => url.replace('10.0.0.1', 'us') },
    }),
    'a=control:track%201 \r\na=control:rtsp://us/a%20b',
    'no player could write it into a request line',
  );
  const [four, six] = ['c=IN IP4 0.0.0.0\r\n', 'c=IN IP6 ::\r\n'] as const;
  for (const text of [four, six]) {
    const viewer = (family: 4 | 6) => ({ address: family === 4 ? '192.0.2.7' : '2001:db8::1', family, rewriteControl }); // prettier-ignore
    t.equal(translateSdp(text, viewer(4)), four, 'an IPv4 viewer');
    t.equal(
      translateSdp(text, viewer(6)),
      six,
      'an IPv6 viewer: rtspsrc opens its sockets for what stands here',
    );
  }
  t.end();
});

t.test('any text at all', (t) => {
  const words = [
    'v=0',
    'm=video 0 RTP/AVP 96',
    'm=',
    'c=IN IP4 1.2.3.4',
    'o=- 1 1 IN IP4 1.1.1.1',
    'a=control:',
    'rtsp://h/',
    'a=rtpmap:96 ',
    'a=range:npt=',
    'a=__proto__:',
    '/',
    ' ',
    '\r\n',
    '\n',
    '\r',
    '0',
    '99999999999999999999',
    '\u2028',
  ];
  const text = fc.oneof(
    fc.string(),
    fc.array(fc.constantFrom(...words), { maxLength: 40 }).map((parts) => parts.join('')),
  );
  const identity = { address: '1.1.1.1', family: 4, rewriteControl: (url: string) => url } as const;
  fc.assert(
    fc.property(text, (sdp) => {
      try {
        describeSdp(sdp);
      } catch (error) {
        if (!(error instanceof SdpError)) return false;
      }
      const once = translateSdp(sdp, identity);
      return (
        once === translateSdp(once, identity) &&
        once.split(/\r\n|\r|\n/).length === sdp.split(/\r\n|\r|\n/).length
      );
    }),
    { numRuns: 1000 },
  );
  const begin = performance.now();
  describeSdp(`m=video 0 RTP/AVP${' 1'.repeat(60_000)}\n${'a=rtpmap:2\n'.repeat(12_000)}`);
  for (const line of ['a=rtpmap:', 'm=video ', 'c=IN IP4 ', 'a=range:', 'o='])
    for (const filling of ['1 ', ' ', '/', 'a']) {
      const hostile = line + filling.repeat(262_144 / filling.length);
      t.throws(() => describeSdp(hostile + '\nm='), SdpError);
      translateSdp(hostile, identity);
    }
  t.ok(performance.now() - begin < 4000, 'no line of the longest length takes quadratic time');
  t.end();
});

t.test("AV1's dependency descriptor among the header extensions (RFC 8285 5)", (t) => {
  const uri = 'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';
  const ids = (...lines: string[]) => describeSdp(lines.join('\r\n')).media.map((m) => m.descriptorId);
  const media = 'm=video 0 RTP/AVP 96';
  const other = 'a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid';
  t.same(ids('v=0', media, other, `a=extmap:4 ${uri}`), [4]);
  t.same(
    ids('v=0', media, `a=extmap:200/sendonly ${uri} more`, media),
    [200, undefined],
    'of its own section',
  );
  t.same(ids('v=0', `a=extmap:5 ${uri}`, media, media, `a=extmap:6 ${uri}`), [5, 6], 'of the session');
  t.same(ids('v=0', media, `a=extmap:4 ${uri}-2`), [undefined], 'another URI');
  for (const id of ['0', '256', '4096', '-1', ''])
    t.same(ids('v=0', media, `a=extmap:${id} ${uri}`), [undefined], id);
  t.end();
});
