// SPDX-License-Identifier: Apache-2.0
// Cameras with the habits that real ones have, over real sockets: each is watched all the same, or the viewer gets a clear
// answer. docs/peers.md says who has which habit.
import t, { type Test } from 'tap';
import { lookup } from 'node:dns/promises';
import { existsSync } from 'node:fs';
import type { PathSettings } from '../../../src/control/config/path-config.js';
import type { RtspResponse } from '../../../src/control/rtsp/message.js';
import type { Limits } from '../../../src/control/state/limits.js';
import { BadCamera, CAMERA_SSRC, USUAL_SDP, type Habits } from '../../fixtures/bad-camera.js';
import { startProxy, until, Viewer } from '../../fixtures/loopback.js';

// Most of the time is waiting for the next packet.
t.jobs = 6;
t.setTimeout(120_000);

const PORTS = { first: 15_040, last: 15_239 };
const [VIDEO, AUDIO] = [USUAL_SDP.slice(6, 9), USUAL_SDP.slice(9)];
const HEAD = USUAL_SDP.slice(0, 6);

interface Case {
  readonly what: string;
  readonly habits: Habits;
  readonly settings?: Partial<PathSettings>;
  readonly limits?: Partial<Limits>;
  /** What the viewer's track hangs on its URL by; `/v` if it is not said. */
  readonly control?: string;
  /** Packets that are waited for. */
  readonly packets?: number;
  /** Of SETUP or PLAY, where no picture is to come. */
  readonly status?: number;
  readonly look?: (t: Test, camera: BadCamera, viewer: Viewer, play: RtspResponse) => void;
}

const asks = (uri: RegExp) => (t: Test, camera: BadCamera) =>
  t.match(camera.asked('SETUP')[0]!.uri.replace(`:${camera.port}`, ''), uri);

const CASES: readonly Case[] = [
  { what: 'nothing is wrong', habits: {} },
  { what: 'lines end with LF', habits: { lineEnd: '\n' } },
  { what: 'Cseq', habits: { cseq: 'Cseq' } },
  { what: 'no CSeq at all (VLC)', habits: { cseq: 'X-Nothing' } },
  { what: 'its 401 has no CSeq', habits: { password: true }, settings: {} },
  {
    what: 'never answers a keep-alive',
    habits: { deafTo: ['OPTIONS', 'GET_PARAMETER'] },
    limits: { keepAliveMs: 200, requestMs: 300, sourceSilenceMs: 1000 },
    packets: 200,
    look: (t, camera) => t.ok(camera.asked('OPTIONS').length > 3, 'it is asked again and again'),
  },
  {
    what: 'refuses its keep-alive',
    habits: { status: { GET_PARAMETER: '451 Parameter Not Understood', OPTIONS: '501 Not Implemented' } },
    limits: { keepAliveMs: 200 },
    packets: 120,
  },
  {
    what: 'answers a keep-alive behind a later request',
    habits: { lateOptions: true },
    limits: { keepAliveMs: 100 },
    packets: 120,
    look: async (t, _camera, viewer) => {
      const answer = await viewer.ask('DESCRIBE', viewer.url);
      t.equal(answer.status, 200);
    },
  },
  {
    what: 'a session without a timeout, and one second',
    habits: { fields: { SETUP: { Session: ' 12 ; timeout=1' } } },
    packets: 150,
    look: (t, camera) => {
      t.ok(camera.asked('OPTIONS').length + camera.asked('GET_PARAMETER').length >= 2, 'in time');
      t.equal(camera.asked('PLAY')[0]!.headers.get('Session'), '12');
    },
  },
  { what: 'no timeout', habits: { fields: { SETUP: { Session: 'abc-$_.+' } } } },
  {
    what: 'm=video 0/0 (ZLMediaKit #2159)',
    habits: { sdp: [...HEAD, 'm=video 0/0 RTP/AVP 96', ...VIDEO.slice(1), ...AUDIO] },
  },
  {
    what: 'no a=control',
    habits: { sdp: [...HEAD.slice(0, 5), ...VIDEO.slice(0, 2)] },
    control: '',
    look: asks(/^rtsp:\/\/127\.0\.0\.1\/x\/?$/),
  },
  {
    what: 'a blank in a=control',
    habits: { sdp: [...HEAD, ...VIDEO.slice(0, 2), 'a=control:track 1', ...AUDIO] },
    control: '/track%201',
    look: asks(/^rtsp:\/\/127\.0\.0\.1\/x\/track%201$/),
  },
  {
    what: 'one payload type on two tracks',
    habits: { sdp: [...HEAD, ...VIDEO, 'm=audio 0 RTP/AVP 96', 'a=rtpmap:96 PCMU/8000', 'a=control:a'] },
  },
  {
    what: 'one payload type twice on a track',
    habits: { sdp: [...HEAD, 'm=video 0 RTP/AVP 96 96', ...VIDEO.slice(1), ...VIDEO.slice(1)] },
  },
  {
    what: 'Content-Base of its address at home',
    habits: { fields: { DESCRIBE: { 'Content-Base': 'rtsp://10.0.0.9/x/' } } },
    look: asks(/^rtsp:\/\/10\.0\.0\.9\/x\/v$/),
  },
  {
    what: 'Content-Base without its slash',
    habits: { fields: { DESCRIBE: { 'Content-Base': 'rtsp://127.0.0.1/x' } } },
    look: asks(/^rtsp:\/\/127\.0\.0\.1\/x\/v$/),
  },
  {
    what: 'Content-Base that is none, but Content-Location',
    habits: { fields: { DESCRIBE: { 'Content-Base': '/x', 'Content-Location': 'rtsp://127.0.0.1/x/' } } },
    look: asks(/^rtsp:\/\/127\.0\.0\.1\/x\/v$/),
  },
  {
    what: 'neither',
    habits: { fields: { DESCRIBE: { 'Content-Base': '' } } },
    look: asks(/^rtsp:\/\/127\.0\.0\.1\/x\/v$/),
  },
  {
    what: 'packets before its answer to PLAY',
    habits: { early: 20 },
    look: (t, _camera, viewer) => t.equal(viewer.numbers[0], 0, 'the first one, too'),
  },
  {
    what: 'other channels than it was asked for',
    habits: { channels: [10, 11] },
    settings: { sourceTransport: 'auto' },
    look: (t, camera) =>
      t.match(camera.asked('SETUP').at(-1)!.headers.get('Transport'), /TCP.*interleaved=0-1/),
  },
  {
    what: 'the same channels for both tracks',
    habits: { channels: [0, 1], fields: { SETUP: { Transport: 'RTP/AVP/TCP;unicast;interleaved=0-1' } } },
    settings: { sourceTransport: 'tcp' },
  },
  {
    what: 'no server_port',
    habits: { fields: { SETUP: { Transport: 'RTP/AVP;unicast;client_port=1-2' } } },
  },
  {
    what: 'server_port=0-0',
    habits: { fields: { SETUP: { Transport: 'RTP/AVP;unicast;client_port=0-0;server_port=0-0;ttl=999' } } },
  },
  {
    what: 'server_port that ends before it begins',
    habits: { fields: { SETUP: { Transport: 'RTP/AVP;unicast;client_port=1-2;server_port=39000-35968' } } },
  },
  {
    what: 'sends from another address, as source= says',
    habits: {
      sendsFrom: '127.0.0.2',
      fields: { SETUP: { Transport: 'RTP/AVP;unicast;client_port=1-2;source=127.0.0.2' } },
    },
  },
  {
    what: 'Transport with words of its own',
    habits: {
      fields: {
        SETUP: { Transport: 'RTP/AVP/UDP;unicast;mode="PLAY";x-dev="a;b";destination=10.1.1.1;ssrc= 12' },
      },
    },
  },
  {
    what: 'hangs up without receiver reports (mediamtx #123)',
    habits: { needsReports: 600 },
    limits: { reportMs: 200 },
    packets: 200,
    look: (t, camera) => t.ok(camera.reports > 3),
  },
  { what: 'empty lines between its answers', habits: { behind: '\r\n\r\n' } },
  {
    what: 'no RTP-Info and no Range',
    habits: {},
    look: (t, _camera, viewer, play) => {
      t.equal(play.headers.get('RTP-Info'), `url=${viewer.url}/v`, 'nothing is made up');
      t.notOk(play.headers.has('Range'));
    },
  },
  {
    what: 'a description that is none',
    habits: { sdp: ['v=0', 's=nothing'] },
    status: 502,
  },
  { what: 'SETUP without a session', habits: { fields: { SETUP: { Session: '' } } }, status: 502 },
  { what: 'SETUP without Transport', habits: { fields: { SETUP: { Transport: '' } } }, status: 502 },
  { what: 'answers for another request', habits: { fields: { SETUP: { CSeq: '4711' } } }, status: 502 },
  { what: 'never answers', habits: { deafTo: ['SETUP'] }, limits: { requestMs: 300 }, status: 504 },
  { what: 'no room', habits: { status: { SETUP: '453 Not Enough Bandwidth' } }, status: 453 },
];

for (const { what, habits, settings, limits = {}, control, packets = 30, status, look } of CASES)
  t.test(what, { buffered: true }, async (t) => {
    const camera = await BadCamera.start(habits);
    const source = `rtsp://${habits.password ? 'who:secret@' : ''}127.0.0.1:${camera.port}/x`;
    const { port, stop, nothingLeft } = await startProxy(source, {
      ports: PORTS,
      settings: { sourceTransport: 'udp', ...settings },
      limits: { lingerMs: 100, ...limits },
    });
    const viewer = await Viewer.join(port);
    const { play } = await viewer.play(control);
    t.equal(play.status, status ?? 200);
    if (status === undefined) {
      await until(() => viewer.numbers.length >= packets || viewer.closed);
      const [first = 0] = viewer.numbers;
      t.same(
        viewer.numbers,
        viewer.numbers.map((_, i) => first + i),
        'each packet once, in order',
      );
      t.ok(viewer.numbers.length >= packets);
      t.notOk(viewer.closed);
      await look?.(t, camera, viewer, play);
      t.equal(camera.asked('PLAY').length, 1, 'asked once');
    }
    viewer.leave();
    await until(nothingLeft);
    await stop();
    await camera.close();
  });

const addresses = await lookup('localhost', { all: true }).catch(() => []);
const isDual = addresses.some(({ family }) => family === 6);

t.test(
  'an IPv6 camera behind a name with several addresses, an IPv4 viewer',
  { skip: existsSync('/proc/net/if_inet6') ? false : 'no IPv6 here' },
  async (t) => {
    for (const host of ['[::1]', ...(isDual ? ['localhost'] : [])]) {
      const camera = await BadCamera.start({ at: '::1' });
      const { port, stop } = await startProxy(`rtsp://${host}:${camera.port}/x`, {
        ports: PORTS,
        settings: { sourceTransport: 'udp' },
      });
      const viewer = await Viewer.join(port);
      t.equal((await viewer.play()).play.status, 200, host);
      await until(() => viewer.numbers.length > 20);
      viewer.leave();
      await stop();
      await camera.close();
    }
  },
);

t.test('garbage between its answers: it is asked anew, the viewer stays', async (t) => {
  const camera = await BadCamera.start({});
  const { port, stop, proxy } = await startProxy(`rtsp://127.0.0.1:${camera.port}/x`, {
    ports: PORTS,
    settings: { sourceTransport: 'udp', sourceHold: 30_000 },
  });
  const viewer = await Viewer.join(port);
  t.equal((await viewer.play()).play.status, 200);
  await until(() => viewer.numbers.length > 10);
  for (const socket of camera.connections)
    socket.write(Buffer.from('\x00\xffHTTP garbage\r\n\r\n', 'latin1'));
  await until(() => camera.asked('PLAY').length === 2);
  const before = viewer.numbers.length;
  await until(() => viewer.numbers.length > before + 20);
  t.notOk(viewer.closed);
  t.match(proxy.streams(), [{ state: 'playing', viewers: 1 }]);
  viewer.leave();
  await stop();
  await camera.close();
});

const CLIP = [...HEAD, 'a=range:npt=0-0.5', ...VIDEO];

t.test('a clip that ends: BYE, no BYE, the end of the connection', async (t) => {
  for (const end of ['sayGoodbye', 'stop', 'die'] as const) {
    const camera = await BadCamera.start({ sdp: CLIP });
    const { port, stop, proxy } = await startProxy(`rtsp://127.0.0.1:${camera.port}/x`, {
      ports: PORTS,
      settings: { sourceTransport: 'udp' },
    });
    const viewer = await Viewer.join(port);
    t.equal((await viewer.play()).play.status, 200);
    await until(() => viewer.numbers.length > 20);
    camera.stop();
    camera[end]();
    await until(() => viewer.rtcp.some((packet) => packet.includes(byeOf(CAMERA_SSRC))));
    t.pass(`${end}: the viewer has a BYE`);
    if (end === 'die') await until(() => viewer.closed);
    else {
      await until(() => proxy.streams()[0]?.state === 'ready');
      t.equal((await viewer.ask('OPTIONS', viewer.url)).status, 200, 'and may play it again');
    }
    viewer.leave();
    await stop();
    await camera.close();
  }
});

/** The header of an RTCP BYE of one source (RFC 3550 6.6), and its SSRC. */
function byeOf(ssrc: number): Buffer {
  const bye = Buffer.alloc(8);
  bye.writeUInt32BE(0x81cb0001, 0);
  bye.writeUInt32BE(ssrc, 4);
  return bye;
}
