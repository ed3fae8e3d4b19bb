// SPDX-License-Identifier: Apache-2.0
// Layered media without a socket: the SVC clip, what is left of it without its upper layers, and the made-up stream.
import t from 'tap';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ThinnedCopies } from '../../../src/control/kernel/thinned-copies.js';
import { readRtpHeader, RTP_HEADER } from '../../../src/control/rtp/header.js';
import { Layering } from '../../../src/control/rtp/layering.js';
import { pictureEnd } from '../../../src/control/rtp/picture-end.js';
import { Thinning } from '../../../src/control/rtp/thinning.js';
import { dependencyOf, nalType } from '../../../tools/camera/annexb.js';
import { layeredTrack } from '../../../tools/camera/layered.js';
import type { MediaPacket, Track } from '../../../tools/camera/track.js';
import { videoTrack } from '../../../tools/camera/video.js';
import { h265Type, readH265, temporalOf } from '../../../tools/camera/h265.js';
import { run } from '../../../tools/netns/child.js';
import { canRun } from '../../../tools/netns/probe.js';
import { temporaryFolder } from '../../../tools/netns/temporary-folder.js';
import { cannotDecode, decodePictures, receivedPictures } from '../../../tools/svc/check.js';

const FILLER = 12;
const OBU = { DELIMITER: 2, EXTENDED: 0x04, HAS_SIZE: 0x02 } as const;
const QUIET = ['-nostdin', '-v', 'error'];
const CLIP = readFileSync('tools/camera/clip-svc.h264');
const { track, seconds } = videoTrack(CLIP, { rate: 25, payload: 1200, burst: undefined, once: false });

function loop(of: Track, length: number): MediaPacket[] {
  const packets: MediaPacket[] = [];
  for (let i = 0; of.packet(i)!.due < length; i++) packets.push(of.packet(i)!);
  return packets;
}

/** With sequence numbers from 65500 on, so that they wrap. */
function asRtp(packets: readonly MediaPacket[]): Buffer[] {
  return packets.map(({ timestamp, marker, payload }, i) => {
    const header = Buffer.from([0x80, (marker ? 0x80 : 0) | 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    header.writeUInt16BE((65_500 + i) & 0xffff, 2);
    header.writeUInt32BE(timestamp, 4);
    return Buffer.concat([header, payload]);
  });
}

/** Of its first NAL unit, or of what it is a fragment of; undefined: a later fragment. */
function layerOf({ payload }: MediaPacket): number | undefined {
  const type = payload[0]! & 0x1f;
  if (type === 24) return dependencyOf(payload.subarray(3));
  if (type !== 28) return dependencyOf(payload);
  return payload[1]! & 0x80
    ? dependencyOf(Buffer.concat([Buffer.from([payload[1]! & 0x1f]), payload.subarray(2)]))
    : undefined;
}

t.test(
  'the SVC clip: three layers in each picture, in packets of their own, described as RFC 6190 says',
  async (t) => {
    t.equal(seconds, 8);
    t.match(track.format.attributes, ['rtpmap:96 H264-SVC/90000', /profile-level-id=53.*sprop-parameter-sets=Z\S+,b\S+,b\S+,aM/]); // prettier-ignore
    const packets = loop(track, seconds);
    const pictures = receivedPictures(asRtp(packets));
    t.equal(pictures.length, 199);
    t.same([...new Set(pictures.map(({ top }) => top))], [2]);
    t.ok(pictures.every(({ isWhole, isContinuous }) => isWhole && isContinuous));
    t.equal(pictures.filter(({ isIdr }) => isIdr).length, 7);
    const temporal = new Set(
      pictures.flatMap(({ nals }) => nals.filter((nal) => nalType(nal) === 20).map((nal) => nal[3]! >> 5)),
    );
    t.same([...temporal].sort(), [0, 1, 2]);
    for (const picture of pictures)
      for (const nal of picture.nals)
        if (nalType(nal) === 20 && dependencyOf(nal) === 0) t.fail('an extension of layer 0');
  },
);

t.test('a gap is seen, and a picture without its end', async (t) => {
  const rtp = asRtp(loop(track, 1));
  const missing = rtp.toSpliced(30, 1);
  t.equal(receivedPictures(missing).filter(({ isContinuous }) => !isContinuous).length, 1);
  const unmarked = rtp.filter((packet) => !(packet[1]! & 0x80));
  t.notOk(receivedPictures(unmarked).some(({ isWhole }) => isWhole));
});

t.test(
  'OpenH264 decodes it with and without its upper layers, and tells damage',
  { skip: cannotDecode() ?? false },
  async (t) => {
    const pictures = receivedPictures(asRtp(loop(track, seconds)));
    for (const [top, width] of [
      [2, 640],
      [1, 320],
      [0, 160],
    ] as const) {
      const thinned = pictures.map(({ nals }) => ({ nals: nals.filter((nal) => dependencyOf(nal) <= top) }));
      const decoded = decodePictures(thinned);
      t.equal(decoded.length, pictures.length);
      t.ok(
        decoded.every((one) => one.state === 0 && one.width === width),
        `up to layer ${top}: ${width} wide`,
      );
    }
    const damaged = pictures.filter((_, i) => i !== 36); // others refer to it
    t.ok(
      decodePictures(damaged).some(({ state }) => state !== 0),
      'a missing picture is noticed',
    );
  },
);

/** What a viewer gets of them whose allowance changes before the picture of that number, by the twin of the kernel program. */
function thin(packets: readonly Buffer[], allowances: ReadonlyMap<number, number>): Buffer[] {
  const encoding = { name: 'H264-SVC', payloadType: 96 };
  const layering = new Layering(encoding);
  const thinning = new Thinning(true);
  let picture = -1;
  return packets.flatMap((packet) => {
    const layer = layering.place(packet, readRtpHeader(packet)!);
    if (layer.opens) thinning.allowance = allowances.get(++picture) ?? thinning.allowance;
    const copy = new ThinnedCopies(packet, layer, encoding.name).for(thinning);
    return copy.is === 'sent' ? [copy.packet] : copy.is === 'withheld' && copy.end ? [copy.end] : [];
  });
}

t.test(
  'OpenH264 decodes what a thinned viewer gets, with the packets that stand for ends of pictures in it',
  { skip: cannotDecode() ?? false },
  async (t) => {
    const all = asRtp(loop(track, seconds));
    const idr = receivedPictures(all).findIndex(({ isIdr }, i) => i > 0 && isIdr);
    const steps = new Map([
      [0, 0],
      [2 * idr, 1],
      [4 * idr, 7],
      [5 * idr, 1], // a step down where all begins anew
    ]);
    const pictures = receivedPictures(thin(all, steps));
    t.equal(pictures.length, 199);
    t.same(
      pictures.filter(({ isWhole, isContinuous }) => !isWhole || !isContinuous),
      [],
      'each picture has its end, and no number is missing',
    );
    const ends = pictures.map(({ nals }) => nals.filter((nal) => nalType(nal) === FILLER).length);
    const decoded = decodePictures(pictures);
    for (const [i, { width, state }] of decoded.entries()) {
      const step = [...steps.entries()].findLast(([from]) => i >= from)![1];
      const wanted = { state: 0, width: [160, 320][step] ?? 640, ends: step === 7 ? 0 : 1 };
      if (state !== wanted.state || width !== wanted.width || ends[i] !== wanted.ends)
        t.fail(`picture ${i}: ${state}, ${width} wide, ${ends[i]} ends; wanted ${JSON.stringify(wanted)}`);
    }
    t.ok(ends.filter((count) => count === 1).length > 150);
  },
);

t.test(
  "AV1: decoders leave out what stands for a picture's end",
  { skip: canRun('ffmpeg', ['-version']) ?? false },
  async (t) => {
    const clip = join(temporaryFolder(), 'clip.obu');
    const pattern = ['-f', 'lavfi', '-i', 'testsrc2=size=160x96:rate=10:duration=1'];
    await run('ffmpeg', [
      ...QUIET,
      ...pattern,
      '-c:v',
      'libaom-av1',
      '-cpu-used',
      '8',
      '-f',
      'obu',
      '-y',
      clip,
    ]);
    // Behind the aggregation header: an OBU without a size, which a receiver puts back.
    const [header = 0, ...padding] = pictureEnd(Buffer.alloc(RTP_HEADER), 'AV1')!.subarray(RTP_HEADER + 1);
    const end = Buffer.from([header | OBU.HAS_SIZE, padding.length, ...padding]);
    const units = temporalUnits(readFileSync(clip));
    t.equal(units.length, 10);
    writeFileSync(`${clip}.ends.obu`, Buffer.concat(units.flatMap((unit) => [unit, end])));
    const frames = (file: string) => run('ffmpeg', [...QUIET, '-xerror', '-i', file, '-f', 'framemd5', '-']);
    t.equal(await frames(`${clip}.ends.obu`), await frames(clip));
  },
);

/** Of a stream whose OBUs all have a size; each begins with a temporal delimiter. */
function temporalUnits(stream: Buffer): Buffer[] {
  const begins: number[] = [];
  for (let at = 0; at < stream.length;) {
    const header = stream[at]!;
    if (((header >> 3) & 15) === OBU.DELIMITER) begins.push(at);
    let size = 0;
    at += header & OBU.EXTENDED ? 2 : 1;
    for (let shift = 0, more = true; more; shift += 7, more = (stream[at++]! & 0x80) !== 0)
      size |= (stream[at]! & 0x7f) << shift;
    at += size;
  }
  return begins.map((begin, i) => stream.subarray(begin, begins[i + 1] ?? stream.length));
}

t.test('the made-up stream: eight layers of 300 to 1100 kbit/s in all, 271 packets/s', async (t) => {
  const { track, seconds } = layeredTrack();
  const packets = loop(track, seconds);
  t.equal(Math.round(packets.length / seconds), 271);
  const bits = Array.from({ length: 8 }, () => 0);
  let layer = 0;
  for (const packet of packets) {
    layer = layerOf(packet) ?? layer;
    if (layerOf(packet) === 0 && packet.payload[0]! % 32 === 5) layer = 0;
    bits[layer]! += (packet.payload.length + 12) * 8;
  }
  let sum = 0;
  const cumulative = bits.map((of) => (sum += of / seconds / 1000));
  for (const [i, wanted] of [300, 400, 500, 600, 800, 900, 1000, 1100].entries())
    t.ok(Math.abs(cumulative[i]! / wanted - 1) < 0.01, `up to layer ${i}: ${cumulative[i]} kbit/s`);
  const pictures = receivedPictures(asRtp(packets));
  t.equal(pictures.length, 24);
  t.ok(pictures.every(({ isWhole, top }) => isWhole && top === 7));
});

t.test(
  'the H.265 clip: two temporal layers, pictures shown in turn, fragments that fit together again',
  async (t) => {
    const stream = readFileSync('tools/camera/clip.h265');
    const { pictures } = readH265(stream)!;
    t.equal(pictures.length, 200);
    t.same(pictures.map(({ shown }) => shown).sort((a, b) => a - b), Array.from({ length: 200 }, (_, i) => i), 'each place once'); // prettier-ignore
    t.same([...new Set(pictures.map(({ nals }) => temporalOf(nals.at(-1)!)))], [0, 1]);
    const { track, seconds } = videoTrack(stream, { rate: 25, payload: 1200, burst: undefined, once: false });
    t.match(track.format.attributes, [
      'rtpmap:96 H265/90000',
      /^fmtp:96 sprop-vps=Q.*;sprop-sps=Q.*;sprop-pps=R/,
    ]);
    let open: Buffer[] = [];
    const nals = loop(track, seconds).flatMap(({ payload }) => {
      if (h265Type(payload) !== 49) return [payload];
      const type = payload[2]! & 0x3f;
      if (payload[2]! & 0x80) open = [Buffer.from([(payload[0]! & 0x81) | (type << 1), payload[1]!])];
      open.push(payload.subarray(3));
      return payload[2]! & 0x40 ? [Buffer.concat(open)] : [];
    });
    t.ok(Buffer.concat(nals).equals(Buffer.concat(pictures.flatMap((picture) => picture.nals))));
    t.equal(readH265(CLIP), undefined, 'H.264 is none');
  },
);
