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
import {
  AV1_FIRST,
  AV1_PLAIN,
  descriptor,
  DESCRIPTOR_ID,
  extendedRtp,
  extension,
  L1T3,
  L2T1,
  L2T2,
} from '../fixtures/descriptors.js';
import { aggregate, baseSlice, fragments, layeredRtp, svcSlice } from '../fixtures/layered.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { LOCAL, senderReport, SOURCE, udpFrame, type UdpFields } from '../fixtures/packets.js';
import { PAYLOAD_TYPE } from '../fixtures/picture-cases.js';
import { random } from '../fixtures/random.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const H264 = { name: 'H264', payloadType: PAYLOAD_TYPE };
const AV1 = { name: 'AV1', payloadType: PAYLOAD_TYPE, descriptorId: DESCRIPTOR_ID };
const VIEWERS = 4;
t.setTimeout(120_000);

type Below = ReturnType<typeof random>;
type Step = { readonly packet: Buffer } | { readonly viewer: number; readonly allow: number };

/** Packets that are lost, late or repeated now and then. */
function badNetwork(below: Below, steps: Step[]): (packet: Buffer) => void {
  const late: { packet: Buffer; in: number }[] = [];
  return (packet) => {
    const fate = below(30);
    if (fate === 0) return;
    if (fate <= 2) late.push({ packet, in: 1 + below(12) });
    else steps.push({ packet });
    if (fate === 3) steps.push({ packet });
    for (const waiting of late.splice(0))
      if (--waiting.in > 0) late.push(waiting);
      else steps.push({ packet: waiting.packet });
  };
}

interface Sent {
  readonly payload: Buffer;
  /** RTP header extension. */
  readonly extension?: Buffer;
}

/** Pictures on their way, and allowances that change meanwhile. */
function script(below: Below, pictures: number, picture: (n: number) => readonly Sent[]): Step[] {
  let seq = 65500 + below(30);
  let timestamp = 0xfffff000;
  const steps: Step[] = [{ viewer: 0, allow: 0 }]; // somebody is thinned, whatever follows
  const send = badNetwork(below, steps);
  for (let n = 0; n < pictures; n++, timestamp += 3000) {
    const packets = picture(n);
    packets.forEach(({ payload, extension: header }, i) => {
      const fields = { seq: seq++, timestamp, marked: i === packets.length - 1 };
      send(header ? extendedRtp(payload, header, fields) : layeredRtp(payload, fields));
    });
    if (below(3) === 0) steps.push({ viewer: below(VIEWERS), allow: below(4) });
    if (below(40) === 0) seq += 5000; // the source jumps
  }
  return steps;
}

/** H.264 SVC: up to three layers. */
function svcPictures(below: Below): (n: number) => readonly Sent[] {
  return (n) => {
    const idr = n % 7 === 0;
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
    return payloads.map((payload) => ({ payload }));
  };
}

/** AV1 whose layers are in dependency descriptors alone: one structure after another, frames of any of its templates. */
function av1Pictures(below: Below): (n: number) => readonly Sent[] {
  let frame = 0;
  let offset = 60;
  let templates = L1T3;
  const packetsOf = (template: number, key: boolean): Sent[] => {
    frame++;
    return Array.from({ length: 1 + below(3) }, (_, i) => {
      const fields = {
        ...{ start: i === 0, template: (offset + template) % 64, frame },
        ...(key && i === 0 && { structure: { offset, templates } }),
        ...(!key && below(6) === 0 && { dtis: templates[template]![2] }),
      };
      const payload = Buffer.concat([key && i === 0 ? AV1_FIRST : AV1_PLAIN, Buffer.alloc(below(40), 1)]);
      return { payload, extension: extension([[DESCRIPTOR_ID, descriptor(fields)]]) };
    });
  };
  return (n) => {
    const key = n % 9 === 0;
    if (key) {
      offset = (offset + templates.length) % 64;
      templates = [L1T3, L2T1, L2T2][below(3)]!;
    }
    const first = key ? 0 : below(templates.length);
    const rest = templates.flatMap(([spatial], i) =>
      spatial > templates[first]![0] && i > first ? [i] : [],
    );
    const second = rest.length > 0 && below(4) > 0 ? [rest[below(rest.length)]!] : [];
    return [...packetsOf(first, key), ...second.flatMap((template) => packetsOf(template, false))];
  };
}

/** What viewer `i` gets of it, by the twin. */
function expected(steps: readonly Step[], viewer: number, encoding: typeof H264) {
  const layering = new Layering(encoding);
  const thinning = new Thinning(true);
  const got: string[] = [];
  let thinned = 0;
  for (const step of steps) {
    if ('viewer' in step) {
      if (step.viewer === viewer) thinning.allowance = step.allow;
      continue;
    }
    const { packet } = step;
    const layer = layering.place(packet, readRtpHeader(packet)!);
    const taken = thinning.take(layer);
    if (taken === 'withheld') thinned++;
    if (typeof taken === 'object') got.push(shown(packet, taken.seq, taken.marked));
    const end = taken === 'withheld' ? thinning.takeEnd(layer) : undefined;
    if (end !== undefined) got.push(shown(pictureEnd(packet, encoding.name)!, end, true));
  }
  return { got, thinned, notion: layering.notion };
}

function shown(packet: Buffer, seq: number, marked: boolean): string {
  return `${seq}${marked ? ' M' : ''} ${packet.readUInt32BE(4)} ${packet.subarray(12).toString('hex')}`;
}

function shownCopy(packet: Buffer): string {
  return shown(packet, packet.readUInt16BE(2), (packet[1]! & 0x80) !== 0);
}

const STREAMS = [
  { encoding: H264, codec: Codec.H264, pictures: svcPictures },
  { encoding: AV1, codec: Codec.AV1, pictures: av1Pictures },
] as const;

for (const { encoding, codec, pictures } of STREAMS)
  onBothEngines(`${encoding.name}: the same packets and numbers as the twin`, { skip }, async (t, engine) => {
    const seed = Number(process.env['LAYERS_SEED'] ?? Date.now() % 2 ** 31);
    t.comment(`LAYERS_SEED=${seed}`);
    const bench = await KernelBench.create(engine);
    bench.codec = { ...encoding, codec, cache: { first: 0, size: 256 } };
    const below = random(seed);
    const steps = script(below, 70, pictures(below));
    const stream = bench.open();
    const viewers = Array.from({ length: VIEWERS }, (_, n) => bench.add(stream, n + 1));
    const twins = viewers.map((_, n) => expected(steps, n, encoding));
    const due = twins.reduce((sum, { got }) => sum + got.length, 0);
    const copies = await bench.capture(async () => {
      for (const step of steps) {
        if ('packet' in step) bench.ingress(udpFrame(step.packet));
        else {
          await bench.drained();
          const { slot, id } = viewers[step.viewer]!;
          bench.state.commands.allow(slot, id, step.allow);
        }
      }
      await bench.drained();
    }, due);
    t.same(
      copies.filter((c) => c.header !== 'right' || c.checksum === 'wrong'),
      [],
    );
    for (const [n, { got: wanted, thinned, notion }] of twins.entries()) {
      const got = copies
        .filter((c) => c.destinationPort === 10000 + 2 * (n + 1))
        .map((c) => shownCopy(c.payload));
      const first = wanted.findIndex((w, i) => w !== got[i]);
      const what = `viewer ${n}, LAYERS_SEED=${seed}`;
      t.same(
        got.slice(first < 0 ? 0 : first, first < 0 ? 0 : first + 3),
        wanted.slice(first < 0 ? 0 : first, first < 0 ? 0 : first + 3),
        `from packet ${first} on: ${what}`,
      );
      t.equal(got.length, wanted.length, what);
      t.match(bench.state.viewer(viewers[n]!.slot), { packets: wanted.length, thinned }, what);
      t.match(bench.state.layers(stream), { notion }, what);
    }
    await bench.close();
  });

onBothEngines('sender reports count what the viewer was sent', { skip }, async (t, engine) => {
  const bench = await KernelBench.create(engine);
  bench.codec = { codec: Codec.H264, payloadType: PAYLOAD_TYPE, cache: { first: 0, size: 0 } };
  const stream = bench.open();
  const [all, base] = [bench.add(stream, 1), bench.add(stream, 2)];
  bench.state.commands.allow(base.slot, base.id, 0);
  const body = Buffer.alloc(50, 0x88);
  const second = { from: '10.0.0.7', sourcePort: 7970, port: 5104 };
  const send = async (pictures: number, at: UdpFields = {}) => {
    for (let picture = 0; picture < pictures; picture++)
      [baseSlice(true, body), svcSlice(1, true, body), svcSlice(2, true, body)].forEach((unit, i) =>
        bench.ingress(
          udpFrame(layeredRtp(unit, { seq: 3 * picture + i, timestamp: picture, marked: i === 2 }), at),
        ),
      );
    await bench.drained();
  };
  const report = async (pictures: number, at: UdpFields) => {
    const sent = senderReport();
    sent.writeUInt32BE(3 * pictures, 20);
    sent.writeUInt32BE(pictures * (51 + 2 * 54), 24);
    bench.ingress(udpFrame(sent, at));
    await bench.drained();
  };
  const copies = await bench.capture(async () => {
    await send(3);
    await report(3, { port: LOCAL.rtcpPort, sourcePort: SOURCE.rtcpPort });
    bench.state.commands.retarget(
      stream,
      {
        ...{ source: second.from, sourcePorts: { rtp: 7970, rtcp: 7971 } },
        ...{ local: LOCAL.address, localPorts: { rtp: 5104, rtcp: 5105 } },
        ...{ clockRate: 90_000, codec: Codec.H264, payloadType: PAYLOAD_TYPE },
      },
      0,
    );
    await send(1, second);
    await report(1, { from: second.from, port: 5105, sourcePort: 7971 });
  });
  const counts = (n: number) =>
    copies
      .filter((c) => c.destinationPort === 10001 + 2 * n)
      .map(({ payload, checksum }) => [checksum, payload.readUInt32BE(20), payload.readUInt32BE(24)]);
  t.same(counts(1), [
    ['right', 9, 3 * 51 + 6 * 54],
    ['right', 3, 51 + 2 * 54],
  ]);
  t.same(
    counts(2),
    [
      ['right', 6, 3 * 51 + 3 * 4],
      ['right', 2, 51 + 4],
    ],
    'packets of the base and as many ends; another source counts anew',
  );
  t.match(bench.state.viewer(base.slot), { packets: 8, thinned: 8, thinnedBytes: 8 * 66, drops: 0 });
  t.match(bench.state.viewer(all.slot), { packets: 12, thinned: 0 });
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
    await bench.drained();
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
