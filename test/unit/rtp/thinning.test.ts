// SPDX-License-Identifier: Apache-2.0
// What a viewer sees that does not get all layers: judged by what a receiver can tell, not by the code's own numbers.
import fc from 'fast-check';
import t from 'tap';
import { readRtpHeader } from '../../../src/control/rtp/header.js';
import { Layering, type PacketLayer } from '../../../src/control/rtp/layering.js';
import { Thinning } from '../../../src/control/rtp/thinning.js';
import { baseSlice, layeredRtp, svcSlice } from '../../fixtures/layered.js';
import { PAYLOAD_TYPE } from '../../fixtures/picture-cases.js';

const BODY = Buffer.alloc(8, 0x88);

interface Sent {
  readonly seq: number;
  readonly marked: boolean;
  /** Undefined: it stands in for an end. */
  readonly of: { readonly seq: number; readonly layer: number; readonly picture: number } | undefined;
}

/** A stream whose packets are of the layers that are asked for, and one viewer of it. */
class Scene {
  readonly layering = new Layering({ name: 'H264', payloadType: PAYLOAD_TYPE });
  readonly thinning: Thinning;
  readonly sent: Sent[] = [];
  seq = 65530;

  constructor(rewrite = true) {
    this.thinning = new Thinning(rewrite);
  }

  packet(layer: number, picture: number, marked: boolean, idr = false): Buffer {
    const unit = layer === 0 ? baseSlice(idr, BODY) : svcSlice(layer, idr, BODY);
    return layeredRtp(unit, { seq: this.seq++, timestamp: 3000 * picture, marked });
  }

  come(packet: Buffer): void {
    const layer = this.layering.place(packet, readRtpHeader(packet)!);
    const taken = this.thinning.take(layer);
    if (taken === 'unknown') return;
    if (taken !== 'withheld')
      this.sent.push({ ...taken, of: { seq: layer.seq, layer: layer.layer, picture: pictureOf(layer) } });
    const end = taken === 'withheld' ? this.thinning.takeEnd(layer) : undefined;
    if (end !== undefined) this.sent.push({ seq: end, marked: true, of: undefined });
  }

  /** A picture with one packet of each of the layers, the last marked. */
  picture(picture: number, layers: readonly number[], { idr = false, lost = -1 } = {}): void {
    layers.forEach((layer, i) => {
      const packet = this.packet(layer, picture, i === layers.length - 1, idr);
      if (i !== lost) this.come(packet);
    });
  }

  get numbers(): number[] {
    return this.sent.map(({ seq }) => seq);
  }

  get layers(): (number | undefined)[] {
    return this.sent.splice(0).map(({ of }) => of?.layer);
  }
}

function pictureOf(layer: PacketLayer): number {
  return layer.timestamp / 3000;
}

t.test('chapter 3: what is above the allowance is left out, from the next picture on', (t) => {
  const scene = new Scene();
  scene.picture(0, [0, 1, 2], { idr: true });
  t.same(scene.layers, [0, 1, 2], 'all, as it begins');
  scene.come(scene.packet(0, 1, false));
  scene.thinning.allowance = 1;
  scene.come(scene.packet(1, 1, false));
  scene.come(scene.packet(2, 1, true));
  t.same(scene.layers, [0, 1, 2], 'the picture under way is finished');
  scene.picture(2, [0, 1, 2]);
  t.same(scene.layers, [0, 1, undefined], 'its end is replaced');
  scene.thinning.allowance = 0;
  scene.picture(3, [0, 1, 2]);
  t.same(scene.layers, [0, undefined], 'the base is always sent');
  scene.picture(4, [1, 2]);
  t.same(scene.layers, [], 'of a picture without a base nothing is, not even its end');
  t.end();
});

t.test('upwards only where the layer begins anew', (t) => {
  const scene = new Scene();
  scene.thinning.allowance = 0;
  scene.picture(0, [0, 1, 2], { idr: true });
  scene.thinning.allowance = 2;
  scene.picture(1, [0, 1, 2]);
  t.same(scene.layers, [0, undefined, 0, undefined]);
  scene.picture(2, [0, 1, 2], { idr: true });
  scene.picture(3, [0, 1, 2]);
  t.same(scene.layers, [0, 1, 2, 0, 1, 2]);
  scene.thinning.allowance = 0;
  scene.picture(4, [0, 2]);
  scene.thinning.allowance = 2;
  scene.come(scene.packet(0, 5, false, true));
  scene.come(scene.packet(1, 5, false, false));
  scene.come(scene.packet(2, 5, true, true));
  t.same(scene.layers, [0, undefined, 0, undefined], 'not over a layer that does not');
  t.end();
});

t.test('numbers follow each other; markers end pictures', (t) => {
  const scene = new Scene();
  scene.thinning.allowance = 1;
  for (let picture = 0; picture < 20; picture++) scene.picture(picture, [0, 1, 2, 2]);
  t.same(
    scene.numbers,
    Array.from({ length: 60 }, (_, i) => (65530 + i) & 0xffff),
  );
  t.same(
    scene.sent.map(({ marked }) => marked),
    Array.from({ length: 60 }, (_, i) => i % 3 === 2),
  );
  t.end();
});

t.test('what is lost is missed, of whatever layer it was', (t) => {
  const scene = new Scene();
  scene.thinning.allowance = 0;
  scene.picture(0, [0, 1, 2]);
  scene.picture(1, [0, 1, 2], { lost: 0 });
  scene.picture(2, [0, 1, 2], { lost: 1 });
  scene.picture(3, [0, 1, 2]);
  const [first] = scene.numbers;
  t.same(
    scene.numbers.map((seq) => (seq - first!) & 0xffff),
    [0, 1, 3, 5, 6, 7],
  );
  t.end();
});

t.test('without rewriting numbers and markers are the source’s', (t) => {
  const scene = new Scene(false);
  scene.thinning.allowance = 0;
  scene.picture(0, [0, 1, 2]);
  scene.picture(1, [0, 1, 2]);
  t.same(
    scene.sent.map(({ seq, marked }) => [seq, marked]),
    [
      [65530, false],
      [65533, false],
    ],
  );
  t.end();
});

t.test('property: a receiver is never misled', (t) => {
  const event = fc.record({
    layers: fc.subarray([0, 1, 2, 3], { minLength: 1 }),
    idr: fc.boolean(),
    allowance: fc.option(fc.integer({ min: 0, max: 7 }), { freq: 3 }),
    /** Of each packet: lost (0), later by so many packets (1 to 6), or in time. */
    fates: fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 4, maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 60 }), (events) => {
      const scene = new Scene();
      const arrived = new Set<number>();
      const late: { packet: Buffer; left: number }[] = [];
      const come = (packet: Buffer) => {
        arrived.add(packet.readUInt16BE(2));
        scene.come(packet);
      };
      events.forEach(({ layers, idr, allowance, fates }, picture) => {
        if (allowance !== null) scene.thinning.allowance = allowance;
        layers.forEach((layer, i) => {
          const packet = scene.packet(layer, picture, i === layers.length - 1, idr);
          if (fates[i]! >= 1 && fates[i]! <= 6) late.push({ packet, left: fates[i]! });
          else if (fates[i] !== 0) come(packet);
          for (const waiting of late.splice(0))
            if (--waiting.left > 0) late.push(waiting);
            else come(waiting.packet);
        });
      });
      return isHonest(scene.sent, arrived);
    }),
    { numRuns: 300 },
  );
  t.end();
});

/** No number is given twice; numbers are in the source's order; where a packet that would have been sent is missing, so is a number. */
function isHonest(sent: readonly Sent[], arrived: ReadonlySet<number>): boolean {
  const real = sent.filter((s) => s.of).map((s) => ({ ...s, of: s.of! }));
  const first = real[0]?.of.seq ?? 0;
  const order = (seq: number) => (seq - first + 1000) & 0xffff;
  const byOrder = [...real].sort((a, b) => order(a.of.seq) - order(b.of.seq));
  const numbers = new Set(sent.map(({ seq }) => seq));
  if (numbers.size !== sent.length) return false;
  for (let i = 1; i < byOrder.length; i++) {
    const [a, b] = [byOrder[i - 1]!, byOrder[i]!];
    const gap = (b.seq - a.seq) & 0xffff;
    const lost = missing(a.of.seq, b.of.seq, arrived);
    if (gap === 0 || gap > 0x8000) return false;
    // What stands in for an end takes a number; each lost packet leaves one.
    const ends = sent.filter((s) => !s.of && ((s.seq - a.seq) & 0xffff) < gap).length;
    if (gap - 1 - ends < lost) return false;
  }
  return true;
}

function missing(from: number, to: number, arrived: ReadonlySet<number>): number {
  let lost = 0;
  for (let seq = (from + 1) & 0xffff; seq !== to; seq = (seq + 1) & 0xffff) if (!arrived.has(seq)) lost++;
  return lost;
}
