// SPDX-License-Identifier: Apache-2.0
// How viewers begin, as the stories tell it: what the datapath is told of the encoding, and what RTP-Info says of the
// first packet that this viewer really gets.
import t from 'tap';
import { readDescription } from '../../../src/control/path/description.js';
import { response } from '../../../src/control/rtsp/message.js';
import { parseRtpInfo } from '../../../src/control/rtsp/rtp-info.js';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, PROXY, SOURCE, type FakeLink } from '../../fixtures/fake-world.js';

const V = `${PROXY}/x/v`;
const A = `${PROXY}/x/a`;

/** SETUP of both tracks; returns the session, not yet playing. */
async function setUp(viewer: FakeLink): Promise<string> {
  const ports = (rtp: number) => ({ Transport: `RTP/AVP;unicast;client_port=${rtp}-${rtp + 1}` });
  const video = await viewer.ask('SETUP', V, ports(40_000));
  const Session = video.headers.get('Session')!.split(';')[0]!;
  await viewer.ask('SETUP', A, { ...ports(40_002), Session });
  return Session;
}

async function play(viewer: FakeLink, Session: string) {
  const { status, headers } = await viewer.ask('PLAY', `${PROXY}/x/`, { Session });
  if (status !== 200) throw new Error(`PLAY: ${status}`);
  return { info: parseRtpInfo(headers.get('RTP-Info')!), range: headers.get('Range') };
}

/** A world where one viewer has been playing for two seconds, and both tracks have come up to now. */
async function playing(recorded = false) {
  const world = await FakeWorld.start({ script: fakeSource({ recorded }), settings: { ownSessions: 0 } });
  const viewer = world.viewer();
  await play(viewer, await setUp(viewer));
  await world.advance(2000);
  const [video, audio] = [world.streams[0]!, world.streams[1]!];
  const common = { ssrc: 5, baseSeq: 1, received: 1, jitter: 0, arrivalNs: world.nowNs };
  video.received = { ...common, extendedMaxSeq: 0x10fff, timestamp: 9000 + 2 * 90_000 };
  audio.received = { ...common, extendedMaxSeq: 299, timestamp: 800 + 2 * 8000 };
  return { world, video, audio };
}

t.test('the datapath is told the encoding', async (t) => {
  const { world, video, audio } = await playing();
  t.same(video.spec.encoding, { name: 'H264', payloadType: 96 });
  t.same(audio.spec.encoding, { name: 'PCMU', payloadType: 0 });
  await world.proxy.close();

  const encodings = (...lines: string[]) =>
    readDescription(
      `${SOURCE}/x`,
      response(200, [], Buffer.from(['v=0', ...lines, ''].join('\r\n'))),
    ).media.map(({ encoding }) => encoding);
  t.same(
    encodings('m=video 0 RTP/AVP 98 97', 'a=rtpmap:97 H265/90000', 'm=video 0 RTP/AVP 99'),
    [{ name: 'H265', payloadType: 97 }, undefined],
    'of the first payload type that is explained',
  );
  const extmap =
    'a=extmap:4 https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension';
  t.same(
    encodings(
      extmap,
      'm=video 0 RTP/AVP 96',
      'a=rtpmap:96 AV1/90000',
      'm=video 0 RTP/AVP 96',
      'a=rtpmap:96 VP8/90000',
    ),
    [
      { name: 'AV1', payloadType: 96, descriptorId: 4 },
      { name: 'VP8', payloadType: 96 },
    ],
    'and where its layers are told',
  );
});

t.test('who joins from the picture cache is told its first packet', async (t) => {
  const { world, video } = await playing(true);
  video.begins = { first: { seq: 0xfff0, timestamp: 9000 + 90_000 } };
  const viewer = world.viewer();
  const Session = await setUp(viewer);
  const { info, range } = await play(viewer, Session);
  t.same(info, [
    { url: V, seq: 0xfff0, rtptime: 99_000 },
    { url: A, seq: 300, rtptime: 16_800 },
  ]);
  t.equal(range, 'npt=11.000-60.000', 'and the position of that packet, not of the newest');
  t.same(
    (await play(viewer, Session)).info[0],
    { url: V, seq: 0x1000, rtptime: 189_000 },
    'a further PLAY: the next',
  );
  await viewer.ask('PAUSE', `${PROXY}/x/`, { Session });
  video.begins = { first: { seq: 77, timestamp: 9000 + 180_000 } };
  t.match((await play(viewer, Session)).info[0], { url: V, seq: 77 }, 'after PAUSE it joins anew');
  await world.proxy.close();
});

t.test('who is held back is told nothing that may be wrong', async (t) => {
  const { world, video } = await playing();
  video.begins = { heldBack: true };
  const viewer = world.viewer();
  const Session = await setUp(viewer);
  t.same((await play(viewer, Session)).info, [{ url: V }, { url: A, seq: 300, rtptime: 16_800 }]);
  t.equal(world.proxy.clients()[1]!.state, 'waiting');
  t.equal(world.proxy.clients()[0]!.state, 'playing');
  Object.assign(video.begins, { heldBack: false });
  t.equal(world.proxy.clients()[1]!.state, 'playing');
  t.match(
    (await play(viewer, Session)).info[0],
    { url: V, seq: 0x1000 },
    'a further PLAY, in the middle of it',
  );
  await world.proxy.close();
});

t.test('the first viewer: the timestamp of the start holds, the sequence number may not', async (t) => {
  for (const { begins, seq } of [
    { begins: { heldBack: true }, seq: undefined },
    { begins: { heldBack: false, held: 3 }, seq: undefined },
    { begins: { heldBack: false }, seq: 100 },
  ]) {
    const world = await FakeWorld.start({ script: fakeSource() });
    const viewer = world.viewer();
    const Session = await setUp(viewer);
    world.streams[0]!.begins = begins;
    const { info } = await play(viewer, Session);
    t.same(info, [
      { url: V, ...(seq !== undefined && { seq }), rtptime: 9000 },
      { url: A, seq: 200, rtptime: 800 },
    ]);
    await world.proxy.close();
  }
});
