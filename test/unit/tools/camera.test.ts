// SPDX-License-Identifier: Apache-2.0
// The test camera on loopback: its answers, what it sends, and ffmpeg as a viewer, judged by frame hashes.

import { execFile } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { promisify } from 'node:util';

import t, { type Test } from 'tap';

import { parseCompound } from '../../../src/control/rtcp/compound.js';
import { Framer } from '../../../src/control/rtsp/framer.js';
import { request, type RtspResponse } from '../../../src/control/rtsp/message.js';
import { parseRtpInfo } from '../../../src/control/rtsp/rtp-info.js';
import { describeSdp } from '../../../src/control/rtsp/sdp.js';
import { serialize } from '../../../src/control/rtsp/serialize.js';
import { parseSession } from '../../../src/control/rtsp/session.js';
import { parseTransport } from '../../../src/control/rtsp/transport.js';
import { LiveSource } from '../../../tools/camera/live-source.js';
import type { LiveTrack } from '../../../tools/camera/live-track.js';
import { startCamera, type CameraOptions } from '../../../tools/camera/server.js';
import { Sessions } from '../../../tools/camera/sessions.js';

const CLIP = readFileSync('tools/camera/clip.h264');
const DEFAULTS: CameraOptions = {
  host: '127.0.0.1',
  port: 0,
  clip: CLIP,
  rate: 25,
  payload: 1400,
  burst: undefined,
  once: false,
  audio: true,
  silent: false,
  paths: ['/', '/camera'],
};

async function camera(t: Test, options: Partial<CameraOptions> = {}) {
  const started = await startCamera({ ...DEFAULTS, ...options });
  t.teardown(() => started.close());
  const { port, togglePause } = started;
  return { url: `rtsp://127.0.0.1:${port}/camera`, port, togglePause };
}

type Ask = (method: string, uri: string, headers?: Record<string, string>) => Promise<RtspResponse>;

/** Sends raw text or one request at a time and waits for the answer. */
async function client(
  t: Test,
  port: number,
): Promise<{ ask: Ask; raw: (text: string) => Promise<RtspResponse> }> {
  const socket = connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  const framer = new Framer();
  let cseq = 0;
  const raw = async (bytes: string | Buffer) => {
    socket.write(bytes);
    for (;;) {
      const message = framer.next();
      if (message?.kind === 'response') return message;
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      framer.push(chunk);
    }
  };
  const ask: Ask = async (method, uri, headers = {}) => {
    const answer = await raw(
      serialize(request(method, uri, [['CSeq', `${++cseq}`], ...Object.entries(headers)])),
    );
    t.equal(answer.headers.get('CSeq'), `${cseq}`);
    return answer;
  };
  return { ask, raw };
}

async function udp(t: Test): Promise<{ socket: UdpSocket; port: number; packets: Buffer[] }> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  t.teardown(() => socket.close());
  await once(socket, 'listening');
  const packets: Buffer[] = [];
  socket.on('message', (packet) => packets.push(packet));
  return { socket, port: socket.address().port, packets };
}

async function udpPair(t: Test) {
  const [one, other] = [await udp(t), await udp(t)];
  return one.port < other.port ? ([one, other] as const) : ([other, one] as const);
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 5000; performance.now() < end && !condition();)
    await new Promise((resolve) => setTimeout(resolve, 5));
}

t.test('a session from OPTIONS to TEARDOWN', async (t) => {
  const events: string[] = [];
  const { url, port } = await camera(t, { notify: (event) => events.push(event) });
  const { ask } = await client(t, port);
  t.match((await ask('OPTIONS', '*')).headers.get('Public'), /DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN/);
  const described = await ask('DESCRIBE', url, { Accept: 'application/sdp' });
  t.match(
    [...described.headers],
    [
      ['Content-Type', 'application/sdp'],
      ['Content-Base', `${url}/`],
    ],
  );
  const sdp = describeSdp(described.body.toString('latin1'));
  t.match(sdp, {
    live: true,
    media: [
      { control: 'trackID=0', clockRate: 90_000 },
      { control: 'trackID=1', clockRate: 8000 },
    ],
  });

  // A pair in name only: two free ports need not be neighbours, and the camera takes what it is told.
  const [media, control] = await udpPair(t);
  const [low, high] = [media.port, control.port];
  const setup = await ask('SETUP', `${url}/trackID=0`, {
    Transport: `RTP/AVP/TCP;interleaved=0-1,RTP/AVP;unicast;client_port=${low}-${high};destination=192.0.2.1`,
  });
  const session = parseSession(setup.headers.get('Session')!);
  const [transport] = parseTransport(setup.headers.get('Transport')!);
  t.equal(session.timeout, 60);
  t.match(transport, { delivery: 'unicast', source: '127.0.0.1', clientPort: { low, high } });
  t.equal(transport!.serverPort!.low % 2, 0);
  t.equal(transport!.serverPort!.high, transport!.serverPort!.low + 1);
  const Session = session.id;
  t.equal((await ask('PAUSE', url, { Session })).status, 455);
  const play = await ask('PLAY', url, { Session, Range: 'npt=0.000-' });
  const [info] = parseRtpInfo(play.headers.get('RTP-Info')!);
  t.equal(play.headers.get('Range'), 'npt=now-');
  t.equal(info?.url, `${url}/trackID=0`);
  await until(() => media.packets.length >= 60 && control.packets.length > 0);

  const first = media.packets[0]!;
  t.strictSame(
    [first.readUInt16BE(2), first.readUInt32BE(4)],
    [info?.seq, info?.rtptime],
    'RTP-Info told the truth',
  );
  media.packets.forEach((packet, i) => {
    const seq = (info!.seq! + i) & 0xffff;
    if (packet.readUInt16BE(2) !== seq || packet.readUInt32BE(8) !== transport!.ssrc) t.fail(`packet ${i}`);
  });
  t.match(parseCompound(control.packets[0]!), {
    ok: true,
    packets: [{ kind: 'sr', ssrc: transport!.ssrc! }, { kind: 'sdes' }],
  });
  t.equal(
    (await ask('SETUP', `${url}/trackID=1`, { Session, Transport: 'RTP/AVP;client_port=9' })).status,
    455,
  );

  t.equal((await ask('PAUSE', url, { Session })).status, 200);
  const count = media.packets.length;
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.ok(media.packets.length <= count + 1, 'paused');
  const again = parseRtpInfo((await ask('PLAY', url, { Session })).headers.get('RTP-Info')!)[0];
  t.ok((again!.rtptime! - info!.rtptime!) >>> 0 >= 0.2 * 90_000, 'the clock went on meanwhile');
  t.equal((await ask('GET_PARAMETER', url, { Session })).status, 200);
  t.equal((await ask('TEARDOWN', url, { Session })).status, 200);
  t.equal((await ask('PLAY', url, { Session })).status, 454);
  const told = events.filter((event) => event !== 'late'); // told every now and then, if anybody watches just then
  t.strictSame(told, ['setup', 'play', 'pause', 'play', 'teardown']);
});

t.test('what it refuses', async (t) => {
  const { url, port } = await camera(t);
  const { ask, raw } = await client(t, port);
  const Transport = 'RTP/AVP;unicast;client_port=5000-5001';
  t.equal((await ask('DESCRIBE', `${url}/nope`)).status, 404);
  t.equal((await ask('DESCRIBE', url, { Accept: 'text/html' })).status, 406);
  t.equal((await ask('SETUP', `${url}/trackID=2`, { Transport })).status, 404);
  t.equal((await ask('SETUP', url, { Transport })).status, 459);
  t.equal((await ask('SETUP', `${url}/trackID=0`, { Transport: 'RTP/AVP/TCP;interleaved=0-1' })).status, 461);
  t.equal((await ask('SETUP', `${url}/trackID=0`)).status, 461);
  t.equal((await ask('SETUP', `${url}/trackID=0`, { Transport, Session: 'nobody' })).status, 454);
  t.equal((await ask('PLAY', url)).status, 454);
  t.equal((await ask('PLAY', url, { Require: 'implicit-play' })).headers.get('Unsupported'), 'implicit-play');
  t.match(await ask('RECORD', url), { status: 501 });
  t.equal((await ask('__proto__', url)).status, 501);
  t.equal((await raw('OPTIONS * RTSP/1.0\r\n\r\n')).status, 400, 'no CSeq');
  const later = await raw('OPTIONS * RTSP/2.0\r\nCSeq: 77\r\n\r\n');
  t.strictSame([later.status, later.headers.get('CSeq')], [505, '77']);
  t.equal((await ask('OPTIONS', '*')).status, 200, 'the connection is still of use');
  t.equal((await raw('OPTIONS * RTSP/1.0\r\nContent-Length: x\r\n\r\n')).status, 400);
  await t.rejects(camera(t, { port }), /EADDRINUSE/);
  await t.rejects(camera(t, { clip: Buffer.from('x') }), /H.264/);
});

t.test('once: after one round of the clip there is a BYE and no more', async (t) => {
  const end = CLIP.indexOf(Buffer.from([0, 0, 0, 1, 0x67]), 1);
  const { url, port } = await camera(t, { once: true, clip: CLIP.subarray(0, end), audio: false });
  const { ask } = await client(t, port);
  const [rtp, rtcp] = await udpPair(t);
  const setup = await ask('SETUP', url, { Transport: `RTP/AVP;client_port=${rtp.port}-${rtcp.port}` });
  const play = await ask('PLAY', url, { Session: parseSession(setup.headers.get('Session')!).id });
  t.equal(play.status, 200);
  const isBye = (packet: Buffer) =>
    JSON.stringify(parseCompound(packet), (_, v) => (typeof v === 'bigint' ? `${v}` : v)).includes('"bye"');
  const pictures = () => rtp.packets.filter((packet) => packet.readUInt8(1) & 0x80).length;
  await until(() => rtcp.packets.some(isBye) && pictures() === 25);
  t.ok(rtcp.packets.some(isBye));
  t.equal(pictures(), 25, 'each picture came whole');
});

t.test('silent: answers, but sends nothing', async (t) => {
  const { url, port } = await camera(t, { silent: true, audio: false });
  const { ask } = await client(t, port);
  const [rtp, rtcp] = await udpPair(t);
  const setup = await ask('SETUP', url, { Transport: `RTP/AVP;client_port=${rtp.port}-${rtcp.port}` });
  t.equal((await ask('PLAY', url, { Session: parseSession(setup.headers.get('Session')!).id })).status, 200);
  await new Promise((resolve) => setTimeout(resolve, 150));
  t.strictSame([...rtp.packets, ...rtcp.packets], []);
});

t.test('a source that pauses: nothing, then what is on, numbered on', async (t) => {
  const slices = { packetsPerSecond: 200, bytes: 100 };
  const { url, port, togglePause } = await camera(t, { audio: false, slices });
  const { ask } = await client(t, port);
  const [media, control] = await udpPair(t);
  const Transport = `RTP/AVP;unicast;client_port=${media.port}-${control.port}`;
  const setup = await ask('SETUP', `${url}/trackID=0`, { Transport });
  await ask('PLAY', url, { Session: parseSession(setup.headers.get('Session')!).id });
  await until(() => media.packets.length >= 20);
  togglePause();
  await new Promise((resolve) => setTimeout(resolve, 50)); // what was under way
  const before = media.packets.length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.equal(media.packets.length, before);
  togglePause();
  await until(() => media.packets.length >= before + 20);
  const [last, next] = media.packets.slice(before - 1, before + 1) as [Buffer, Buffer];
  t.equal(next.readUInt16BE(2), (last.readUInt16BE(2) + 1) & 0xffff);
  t.ok((next.readUInt32BE(4) - last.readUInt32BE(4)) >>> 0 >= 0.25 * 90_000, 'its time went on');
});

t.test('a session ends after 60 s without a sign of life', (t) => {
  const events: string[] = [];
  const sessions = new Sessions((event) => events.push(event));
  const source = new LiveSource('/x', [], true);
  const [quiet, heard] = [sessions.create(source)!, sessions.create(source)!];
  const track = {} as LiveTrack;
  heard.destinations.set(track, { address: '127.0.0.1', rtpPort: 4, rtcpPort: 5 });
  const now = performance.now();
  quiet.seenAt = heard.seenAt = now - 60_001;
  sessions.hear('127.0.0.2', 5);
  sessions.hear('127.0.0.1', 5);
  heard.destinations.clear();
  sessions.expire(now);
  t.strictSame([sessions.find(quiet.id), sessions.find(heard.id), events], [undefined, heard, ['timeout']]);
  sessions.expire(now + 61_000);
  t.strictSame([sessions.find(heard.id), events], [undefined, ['timeout', 'timeout']]);
  t.end();
});

const ffmpeg = async (...args: string[]) =>
  (await promisify(execFile)('ffmpeg', ['-nostdin', '-loglevel', 'error', ...args], { timeout: 20_000 }))
    .stdout;
const hasFfmpeg = await ffmpeg('-version').then(Boolean, () => false);

t.test(
  'what ffmpeg decodes is the clip, picture by picture',
  { skip: hasFfmpeg ? false : 'no ffmpeg' },
  async (t) => {
    const hashes = (framemd5: string) =>
      framemd5
        .split('\n')
        .filter((line) => /^0,/.test(line))
        .map((line) => line.split(',').at(-1)!.trim());
    const output = ['-map', '0:v', '-fps_mode', 'passthrough', '-f', 'framemd5', '-'];
    const clip = hashes(await ffmpeg('-i', 'tools/camera/clip.h264', ...output));
    t.equal(clip.length, 200);
    for (const options of [{}, { burst: 30, audio: false, payload: 500 }]) {
      const { url } = await camera(t, options);
      const seen = hashes(await ffmpeg('-rtsp_transport', 'udp', '-i', url, '-frames:v', '60', ...output));
      t.strictSame(seen, clip.slice(0, 60), `from its first key frame on: ${JSON.stringify(options)}`);
    }
  },
);
