// SPDX-License-Identifier: Apache-2.0
// The test camera's media, without a socket: NAL units, payloads, schedule, sound.

import { readFileSync } from 'node:fs';

import fc from 'fast-check';
import t from 'tap';

import { groupPictures, nalType, splitNals } from '../../../tools/camera/annexb.js';
import { audioTrack, muLaw } from '../../../tools/camera/audio.js';
import { packetizeH264 } from '../../../tools/camera/h264-packetizer.js';
import { videoTrack } from '../../../tools/camera/video.js';
import { depacketizeH264 } from '../../fixtures/h264-depacketizer.js';

const CLIP = readFileSync('tools/camera/clip.h264');
const OPTIONS = { rate: 25, payload: 1400, burst: undefined, once: false };

t.test('payloads of any NAL units hold just these, none too long', (t) => {
  const nal = fc
    .tuple(fc.integer({ min: 1, max: 23 }), fc.integer({ min: 0, max: 3 }), fc.uint8Array({ maxLength: 300 }))
    .map(([type, nri, rest]) => Buffer.from([(nri << 5) | type, ...rest]));
  fc.assert(
    fc.property(fc.array(nal, { maxLength: 12 }), fc.integer({ min: 16, max: 400 }), (nals, size) => {
      const payloads = packetizeH264(nals, size);
      return (
        payloads.every(({ length }) => length <= size) &&
        Buffer.concat(depacketizeH264(payloads)).equals(Buffer.concat(nals)) &&
        depacketizeH264(payloads).length === nals.length
      );
    }),
    { numRuns: 300 },
  );
  t.throws(() => packetizeH264([], 15), RangeError);
  t.end();
});

t.test('the clip: 8 s, a key frame with its parameter sets each second, about 1 Mbit/s', (t) => {
  const pictures = groupPictures(splitNals(CLIP));
  t.equal(pictures.length, 200);
  pictures.forEach(({ nals }, i) => {
    const wanted = i % 25 === 0 ? [7, 8, 5] : [1];
    if (nals.map(nalType).join() !== wanted.join()) t.fail(`picture ${i} is ${nals.map(nalType)}`);
  });
  t.ok(CLIP.length > 700_000 && CLIP.length < 1_000_000, `${CLIP.length} bytes`);
  t.end();
});

t.test('annex B: start codes of both lengths, zeros behind, slices of one picture', (t) => {
  const stream = Buffer.from('000000016700000168000001658800000165400000000141e000000141c0', 'hex');
  const nals = splitNals(stream);
  t.strictSame(
    nals.map((nal) => nal.toString('hex')),
    ['67', '68', '6588', '6540', '41e0', '41c0'],
  );
  t.strictSame(
    groupPictures(nals).map((picture) => picture.nals.length),
    [4, 1, 1],
  );
  t.strictSame(splitNals(Buffer.from('no start code')), []);
  t.strictSame(groupPictures([Buffer.from([0x67])]), []);
  t.throws(() => videoTrack(Buffer.from('00000141e0', 'hex'), OPTIONS), /begins with SPS/);
  t.end();
});

t.test('the picture track goes on from loop to loop', (t) => {
  const { track, seconds } = videoTrack(CLIP, OPTIONS);
  t.equal(seconds, 8);
  const perLoop = track.indexAt(8);
  const marked = Array.from({ length: 2 * perLoop }, (_, i) => track.packet(i)!).filter(
    ({ marker }) => marker,
  );
  t.strictSame(
    marked.map(({ due, timestamp }) => [Math.round(due * 25), timestamp]),
    Array.from({ length: 400 }, (_, i) => [i, i * 3600]),
    'one marked packet per picture, at its time',
  );
  t.equal(track.packet(perLoop)!.payload, track.packet(0)!.payload);
  const middle = track.indexAt(12.001);
  t.equal(track.packet(middle)!.due, 12.04);
  t.not(track.packet(middle - 1)!.due, 12.04);
  t.equal(videoTrack(CLIP, { ...OPTIONS, once: true }).track.packet(perLoop), undefined);
  t.end();
});

t.test('bursts change the times only, and keep the mean rate', (t) => {
  const plain = videoTrack(CLIP, OPTIONS).track;
  const bursts = videoTrack(CLIP, { ...OPTIONS, burst: 30 }).track;
  const perLoop = plain.indexAt(8);
  for (let i = 0; i < perLoop; i++) {
    const [a, b] = [plain.packet(i)!, bursts.packet(i)!];
    if (a.timestamp !== b.timestamp || !a.payload.equals(b.payload)) t.fail(`packet ${i} is another one`);
    if (b.due !== bursts.packet(i - (i % 30))!.due) t.fail(`packet ${i} is not sent with its burst`);
  }
  t.equal(bursts.indexAt(4.0) % 30, 0);
  t.ok(Math.abs(bursts.indexAt(4.0) - perLoop / 2) <= 30);
  t.end();
});

t.test('the sound is what G.711 says', (t) => {
  // ITU-T G.711 table 2b: decoded value of each code
  const decode = (code: number) => {
    const bits = ~code & 0xff;
    const magnitude = ((((bits & 0x0f) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84;
    return bits & 0x80 ? -magnitude : magnitude;
  };
  for (let code = 0; code < 256; code++)
    if (code !== 0x7f && muLaw(decode(code)) !== code) t.fail(`code ${code}`);
  t.equal(muLaw(0), 0xff);
  t.equal(muLaw(32767), 0x80);
  const track = audioTrack(2, true);
  t.strictSame(
    [0, 50, 99].map((i) => [
      track.packet(i)!.due,
      track.packet(i)!.timestamp,
      track.packet(i)!.payload.length,
    ]),
    [
      [0, 0, 160],
      [1, 8000, 160],
      [1.98, 15840, 160],
    ],
  );
  t.ok(
    track.packet(50)!.payload.equals(track.packet(0)!.payload) &&
      !track.packet(5)!.payload.some((b) => b !== 0xff),
  );
  t.equal(track.packet(100), undefined);
  t.end();
});
