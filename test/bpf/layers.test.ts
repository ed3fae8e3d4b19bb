// SPDX-License-Identifier: Apache-2.0
// Thinning: the kernel program's copies, per viewer, are those of the TypeScript twin: the same packets, numbers and markers,
// whatever is lost, late, repeated or allowed meanwhile.
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Codec } from '../../src/control/kernel/abi.gen.js';
import { readRtpHeader } from '../../src/control/rtp/header.js';
import { Layering } from '../../src/control/rtp/layering.js';
import { pictureEnd } from '../../src/control/rtp/picture-end.js';
import { Thinning } from '../../src/control/rtp/thinning.js';
import { onBothEngines } from '../fixtures/engines.js';
import { KernelBench } from '../fixtures/kernel-bench.js';
import { aggregate, baseSlice, fragments, layeredRtp, svcSlice } from '../fixtures/layered.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { LOCAL, senderReport, SOURCE, udpFrame } from '../fixtures/packets.js';
import { PAYLOAD_TYPE } from '../fixtures/picture-cases.js';
import { random } from '../fixtures/random.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const H264 = { name: 'H264', payloadType: PAYLOAD_TYPE };
const VIEWERS = 4;
t.setTimeout(120_000);

type Below = ReturnType<typeof random>;
type Step = { readonly packet: Buffer } | { readonly viewer: number; readonly allow: number };

/** Pictures of up to three layers, sent as packets that are lost, late or repeated now and then. */
function script(below: Below, pictures: number): Step[] {
  let seq = 65500 + below(30);
  let timestamp = 0xfffff000;
  const steps: Step[] = [];
  const late: { packet: Buffer; in: number }[] = [];
  const send = (packet: Buffer) => {
    const fate = below(30);
    if (fate === 0) return;
    if (fate <= 2) late.push({ packet, in: 1 + below(12) });
    else steps.push({ packet });
    if (fate === 3) steps.push({ packet });
    for (const waiting of late.splice(0))
      if (--waiting.in > 0) late.push(waiting);
      else steps.push({ packet: waiting.packet });
  };
  for (let picture = 0; picture < pictures; picture++, timestamp += 3000) {
    const idr = picture % 7 === 0;
    const payloads: Buffer[] = [];
    const body = (bytes: number) => Buffer.alloc(bytes, below(256) | 0x80);
    if (below(10) > 0)
      payloads.push(...(below(2) ? [baseSlice(idr, body(40))] : fragments(baseSlice(idr, body(90)), 40)));
    for (const layer of [1, 2]) {
      if (below(8) === 0) continue;
      if (below(3) === 0)
        payloads.push(aggregate([svcSlice(layer, idr, body(20)), svcSlice(layer, idr, body(20))]));
      else payloads.push(...fragments(svcSlice(layer, idr, body(100)), 45));
    }
    payloads.forEach((payload, i) =>
      send(layeredRtp(payload, { seq: seq++, timestamp, marked: i === payloads.length - 1 })),
    );
    if (below(3) === 0) steps.push({ viewer: below(VIEWERS), allow: below(4) });
    if (below(40) === 0) seq += 5000; // the source jumps
  }
  return steps;
}

/** What viewer `i` gets of it, by the twin. */
function expected(steps: readonly Step[], viewer: number, rewrite: boolean): string[] {
  const layering = new Layering(H264);
  const thinning = new Thinning(rewrite);
  const got: string[] = [];
  for (const step of steps) {
    if ('viewer' in step) {
      if (step.viewer === viewer) thinning.allowance = step.allow;
      continue;
    }
    const { packet } = step;
    const layer = layering.place(packet, readRtpHeader(packet)!);
    const taken = thinning.take(layer);
    if (typeof taken === 'object') got.push(shown(packet, taken.seq, taken.marked));
    const end = taken === 'withheld' ? thinning.takeEnd(layer) : undefined;
    if (end !== undefined) got.push(shown(pictureEnd(packet, 'H264')!, end, true));
  }
  return got;
}

function shown(packet: Buffer, seq: number, marked: boolean): string {
  return `${seq}${marked ? ' M' : ''} ${packet.readUInt32BE(4)} ${packet.subarray(12).toString('hex')}`;
}

function shownCopy(packet: Buffer): string {
  return shown(packet, packet.readUInt16BE(2), (packet[1]! & 0x80) !== 0);
}

async function drained(bench: KernelBench): Promise<void> {
  for (let i = 0; i < 2000 && bench.state.ticketsOut() > 0; i++)
    await new Promise((next) => setTimeout(next, 1));
}

onBothEngines('the same packets and numbers as the twin', { skip }, async (t, engine) => {
  const seed = Number(process.env['LAYERS_SEED'] ?? Date.now() % 2 ** 31);
  t.comment(`LAYERS_SEED=${seed}`);
  const bench = await KernelBench.create(engine);
  bench.codec = { codec: Codec.H264, payloadType: PAYLOAD_TYPE, cache: { first: 0, size: 256 } };
  const steps = script(random(seed), 70);
  const stream = bench.open();
  const viewers = Array.from({ length: VIEWERS }, (_, n) => bench.add(stream, n + 1));
  const copies = await bench.capture(async () => {
    for (const step of steps) {
      if ('packet' in step) bench.ingress(udpFrame(step.packet));
      else {
        await drained(bench);
        const { slot, id } = viewers[step.viewer]!;
        bench.state.commands.allow(slot, id, step.allow);
      }
    }
    await drained(bench);
  });
  t.same(
    copies.filter((c) => c.header !== 'right' || c.checksum === 'wrong'),
    [],
  );
  for (let n = 0; n < VIEWERS; n++) {
    const wanted = expected(steps, n, true);
    const got = copies
      .filter((c) => c.destinationPort === 10000 + 2 * (n + 1))
      .map((c) => shownCopy(c.payload));
    const first = wanted.findIndex((w, i) => w !== got[i]);
    t.same(
      got.slice(first < 0 ? 0 : first, first < 0 ? 0 : first + 3),
      wanted.slice(first < 0 ? 0 : first, first < 0 ? 0 : first + 3),
      `viewer ${n} from packet ${first} on`,
    );
    t.equal(got.length, wanted.length);
    t.equal(bench.state.viewer(viewers[n]!.slot).packets, wanted.length);
  }
  t.match(bench.state.layers(stream), { notion: 'dependency' });
  t.ok(
    viewers.some(({ slot }) => bench.state.viewer(slot).thinned > 0),
    'some were thinned',
  );
  await bench.close();
});

onBothEngines('sender reports count what the viewer was sent', { skip }, async (t, engine) => {
  const bench = await KernelBench.create(engine);
  bench.codec = { codec: Codec.H264, payloadType: PAYLOAD_TYPE, cache: { first: 0, size: 0 } };
  const stream = bench.open();
  const [all, base] = [bench.add(stream, 1), bench.add(stream, 2)];
  bench.state.commands.allow(base.slot, base.id, 0);
  const body = Buffer.alloc(50, 0x88);
  const copies = await bench.capture(async () => {
    for (let picture = 0; picture < 3; picture++)
      [baseSlice(true, body), svcSlice(1, true, body), svcSlice(2, true, body)].forEach((unit, i) =>
        bench.ingress(
          udpFrame(layeredRtp(unit, { seq: 3 * picture + i, timestamp: picture, marked: i === 2 })),
        ),
      );
    await drained(bench);
    const report = senderReport();
    report.writeUInt32BE(9, 20);
    report.writeUInt32BE(3 * 51 + 6 * 54, 24);
    bench.ingress(udpFrame(report, { port: LOCAL.rtcpPort, sourcePort: SOURCE.rtcpPort }));
    await drained(bench);
  });
  const counts = (n: number) => {
    const { payload, checksum } = copies.find((c) => c.destinationPort === 10001 + 2 * n)!;
    return [checksum, payload.readUInt32BE(20), payload.readUInt32BE(24)];
  };
  t.same(counts(1), ['right', 9, 3 * 51 + 6 * 54]);
  t.same(counts(2), ['right', 6, 3 * 51 + 3 * 4], 'three packets of the base, three ends');
  t.match(bench.state.viewer(base.slot), { packets: 6, thinned: 6, thinnedBytes: 6 * 66, drops: 0 });
  t.match(bench.state.viewer(all.slot), { packets: 9, thinned: 0 });
  await bench.close();
});

onBothEngines('without rewriting, numbers and markers stay', { skip }, async (t, engine) => {
  const bench = await KernelBench.create(engine);
  bench.codec = { codec: Codec.H264, payloadType: PAYLOAD_TYPE, cache: { first: 0, size: 0 } };
  bench.verbatim = true;
  const stream = bench.open();
  const { slot, id } = bench.add(stream, 1);
  bench.state.commands.allow(slot, id, 0);
  const body = Buffer.alloc(50, 0x88);
  const copies = await bench.capture(async () => {
    for (let seq = 0; seq < 6; seq++)
      bench.ingress(
        udpFrame(
          layeredRtp(seq % 2 ? svcSlice(1, true, body) : baseSlice(true, body), {
            seq,
            timestamp: seq >> 1,
            marked: seq % 2 === 1,
          }),
        ),
      );
    await drained(bench);
  });
  t.same(
    copies.map(({ payload }) => [payload.readUInt16BE(2), payload[1]! >> 7]),
    [0, 2, 4].map((seq) => [seq, 0]),
  );
  t.match(bench.state.viewer(slot), { packets: 3, thinned: 3 });
  await bench.close();
});

t.test('an allowance that is none is refused', { skip }, async (t) => {
  const bench = await KernelBench.create();
  const { slot, id } = bench.add(bench.open(), 1);
  t.throws(() => bench.state.commands.allow(slot, id, 8), { code: 'EINVAL' });
  t.throws(() => bench.state.commands.allow(slot, id + 1, 0), { code: 'ENOENT' });
  await bench.close();
});
