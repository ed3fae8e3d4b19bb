// SPDX-License-Identifier: Apache-2.0
// Layers as packets tell them, whatever surrounds the payload.
import fc from 'fast-check';
import t from 'tap';
import { codecOf } from '../../../src/control/kernel/codec.js';
import { readDescriptor, templateOf } from '../../../src/control/rtp/dependency-descriptor.js';
import { readRtpHeader } from '../../../src/control/rtp/header.js';
import { Layering } from '../../../src/control/rtp/layering.js';
import { pictureEnd } from '../../../src/control/rtp/picture-end.js';
import {
  AV1_PLAIN,
  descriptor,
  DESCRIPTOR_CASES,
  DESCRIPTOR_ID,
  extendedRtp,
  extension,
  L1T3,
  rawExtension,
} from '../../fixtures/descriptors.js';
import { LAYER_CASES, payloadsOf } from '../../fixtures/layer-cases.js';
import { layeredRtp } from '../../fixtures/layered.js';
import { PAYLOAD_TYPE } from '../../fixtures/picture-cases.js';

t.test('each payload of the table', (t) => {
  for (const row of LAYER_CASES) {
    const layering = new Layering({ name: row.encoding, payloadType: PAYLOAD_TYPE });
    const layers = payloadsOf(row).map((payload, seq) => {
      const packet = layeredRtp(payload, { seq, timestamp: 1 });
      return layering.place(packet, readRtpHeader(packet)!).layer;
    });
    t.equal(layers.at(-1), row.layer, `${row.encoding} ${row.name}`);
    t.equal(layering.notion, row.notion, `${row.encoding} ${row.name}: notion`);
  }
  t.end();
});

t.test('H264-SVC is H264 (RFC 6190), as for the kernel programs', (t) => {
  t.equal(codecOf({ name: 'H264-SVC' }), codecOf({ name: 'H264' }));
  for (const row of LAYER_CASES.filter(({ encoding }) => encoding === 'H264')) {
    const layering = new Layering({ name: 'h264-svc', payloadType: PAYLOAD_TYPE });
    const placed = payloadsOf(row).map((payload, seq) => {
      const packet = layeredRtp(payload, { seq, timestamp: 1 });
      return layering.place(packet, readRtpHeader(packet)!);
    });
    t.equal(placed.at(-1)!.layer, row.layer, row.name);
  }
  t.same(pictureEnd(Buffer.alloc(12), 'H264-SVC'), pictureEnd(Buffer.alloc(12), 'H264'));
  t.end();
});

t.test('what surrounds a payload', (t) => {
  const layerOf = (packet: Buffer) =>
    new Layering({ name: 'h264', payloadType: PAYLOAD_TYPE }).place(packet, readRtpHeader(packet)!).layer;
  const unit = Buffer.from('748090078899', 'hex');
  const packet = layeredRtp(unit, { seq: 1, timestamp: 1 });
  t.equal(layerOf(packet), 1);
  t.equal(layerOf(layeredRtp(unit, { seq: 1, timestamp: 1, payloadType: 97 })), 0, 'another payload type');
  const extended = Buffer.concat([packet.subarray(0, 12), Buffer.from('bede000100000000', 'hex'), unit]);
  extended[0]! |= 0x10;
  t.equal(layerOf(extended), 1, 'behind an extension');
  const aggregated = layeredRtp(Buffer.from('7800057480900788000003', 'hex'), { seq: 1, timestamp: 1 });
  aggregated[0]! |= 0x20;
  t.equal(layerOf(aggregated), 1, 'padding is not payload');
  t.end();
});

t.test('a unit goes on only in the very next packet, of the same picture', (t) => {
  const first = Buffer.from('7c9480a00788', 'hex');
  const rest = Buffer.from('7c1488', 'hex');
  const second = (seq: number, timestamp: number, ssrc?: number) => {
    const layering = new Layering({ name: 'H264', payloadType: PAYLOAD_TYPE });
    const place = (packet: Buffer) => layering.place(packet, readRtpHeader(packet)!);
    place(layeredRtp(first, { seq: 65535, timestamp: 1 }));
    return place(layeredRtp(rest, { seq, timestamp, ...(ssrc && { ssrc }) })).layer;
  };
  t.equal(second(0, 1), 2, 'over the wrap');
  t.equal(second(1, 1), 0, 'one is missing');
  t.equal(second(0, 2), 0, 'another picture');
  t.equal(second(0, 1, 5), 0, 'another source');
  t.end();
});

const AV1 = { name: 'AV1', payloadType: PAYLOAD_TYPE, descriptorId: DESCRIPTOR_ID };

t.test('each dependency descriptor of the table', (t) => {
  for (const { name, packets, notion, layer, enters } of DESCRIPTOR_CASES) {
    const layering = new Layering(AV1);
    const placed = packets.map(({ extension, payload }, seq) => {
      const packet = extendedRtp(payload, extension, { seq, timestamp: seq });
      return layering.place(packet, readRtpHeader(packet)!);
    });
    const { layer: found, enterFrom, enterTo } = placed.at(-1)!;
    t.same([found, enterFrom, enterTo], [layer, ...enters], name);
    t.equal(layering.notion, notion, `${name}: notion`);
  }
  t.end();
});

t.test('whose templates are known', (t) => {
  const key = descriptor({ template: 0, structure: { offset: 0, templates: L1T3 } });
  const other = descriptor({ template: 0, structure: { offset: 0, templates: L1T3.slice(0, 3) } });
  const last = descriptor({ template: 4 });
  const layers = (
    encoding: typeof AV1 | Omit<typeof AV1, 'descriptorId'>,
    ...packets: [Buffer, number, number?][]
  ) => {
    const layering = new Layering(encoding);
    return packets.map(([bytes, seq, ssrc]) => {
      const header = extension([[DESCRIPTOR_ID, bytes]]);
      const packet = extendedRtp(AV1_PLAIN, header, { seq, timestamp: seq, ...(ssrc && { ssrc }) });
      return layering.place(packet, readRtpHeader(packet)!).layer;
    });
  };
  t.same(layers(AV1, [key, 1], [last, 2]), [0, 2]);
  t.same(layers({ name: 'AV1', payloadType: PAYLOAD_TYPE }, [key, 1], [last, 2]), [0, 0], 'no id in the SDP');
  t.same(layers(AV1, [key, 7], [other, 5], [last, 8]), [0, 0, 2], 'a structure that came late');
  t.same(layers(AV1, [key, 5], [other, 7], [last, 8]), [0, 0, 0], 'one that came in time');
  const others = Array.from({ length: 9 }, (_, i): [Buffer, number, number] => [last, i, 5]);
  t.same(layers(AV1, [key, 1], ...others), Array(10).fill(0), "another source's");
  t.end();
});

/** Ids of templates that follow each other as next_layer_idc can say. */
const templates = fc
  .array(fc.nat(2), { maxLength: 20 })
  .map((steps) => {
    let [spatial, temporal] = [0, 0];
    const ids: [number, number][] = [[0, 0]];
    for (const step of steps) {
      if (step === 1 && temporal < 7) temporal++;
      if (step === 2 && spatial < 3) [spatial, temporal] = [spatial + 1, 0];
      ids.push([spatial, temporal]);
    }
    return ids;
  })
  .chain((ids) =>
    fc.integer({ min: 1, max: 32 }).chain((targets) => {
      const dtis = fc.string({
        unit: fc.constantFrom('-', 'D', 'S', 'R'),
        minLength: targets,
        maxLength: targets,
      });
      return fc.tuple(...ids.map(([spatial, temporal]) => dtis.map((d) => [spatial, temporal, d] as const)));
    }),
  );

t.test('any structure is read as it was written', (t) => {
  fc.assert(
    fc.property(templates, fc.nat(63), (templates, offset) => {
      const bytes = descriptor({ template: offset, structure: { offset, templates } });
      const header = extension([[DESCRIPTOR_ID, bytes]]);
      const { structure } = readDescriptor(
        extendedRtp(AV1_PLAIN, header, { seq: 1, timestamp: 1 }),
        DESCRIPTOR_ID,
      )!;
      const own = templates.some(([spatial]) => spatial > 0) ? 0 : 1;
      return templates.every(([spatial, temporal, dtis], i) => {
        const more = [...dtis].filter((_, target) =>
          templates.some((other) => other[own] > templates[i]![own] && other[2][target] !== '-'),
        );
        const { ids, switches } = templateOf({ template: (offset + i) % 64 }, structure!)!;
        return (
          ids.spatial === spatial &&
          ids.temporal === temporal &&
          switches === (more.length > 0 && more.every((dti) => dti === 'S'))
        );
      });
    }),
  );
  t.end();
});

t.test('no extension makes it throw', (t) => {
  const layering = new Layering(AV1);
  fc.assert(
    fc.property(
      fc.constantFrom(0xbede, 0x1000, 0x100f),
      fc.uint8Array({ maxLength: 300 }),
      (profile, bytes) => {
        const header = rawExtension(profile, Buffer.from(bytes));
        const packet = extendedRtp(AV1_PLAIN, header, { seq: 1, timestamp: 1 });
        const { layer } = layering.place(packet, readRtpHeader(packet)!);
        return layer >= 0 && layer <= 7;
      },
    ),
  );
  t.end();
});
