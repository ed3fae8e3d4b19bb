// SPDX-License-Identifier: Apache-2.0
// The source behind a stream changes while viewers play: they see one SSRC, and numbers that go on.
import { fileURLToPath } from 'node:url';

import { Codec } from '../../src/control/kernel/abi.gen.js';
import { KernelBench } from '../fixtures/kernel-bench.js';
import { onBothEngines } from '../fixtures/engines.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { IDR, rtpWith, SLICE } from '../fixtures/picture-cases.js';
import { LOCAL, rtp, senderReport, SOURCE, udpFrame } from '../fixtures/packets.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const SECOND = { from: '10.0.0.7', sourcePort: 7970, port: 5104 };
const SSRC = 0x11223344;
const OTHER = 0x0a0b0c0d;

/** Of RTP, whole ones that have passed. */
const units = (ns: bigint) => Math.floor((Number(ns) * 90000) / 1e9);
const isRtp = (packet: Buffer) => packet[1]! < 128;
const seqOf = (packet: Buffer) => packet.readUInt16BE(2);
const timestampOf = (packet: Buffer) => packet.readUInt32BE(4);

function retarget(bench: KernelBench, stream: number, codec = 0, beginWithinMs = 0): void {
  const source = {
    source: SECOND.from,
    sourcePorts: { rtp: SECOND.sourcePort, rtcp: SECOND.sourcePort + 1 },
    local: LOCAL.address,
    localPorts: { rtp: SECOND.port, rtcp: SECOND.port + 1 },
    clockRate: 90000,
    codec,
    payloadType: 96,
  };
  bench.state.commands.retarget(stream, source, beginWithinMs);
}

onBothEngines('sequence numbers, timestamps and SSRC go on; checksums hold', { skip }, async (t, engine) => {
  const bench = await KernelBench.create(engine);
  const stream = bench.open();
  const viewers = [1, 2].map((n) => bench.add(stream, n));
  let least = Infinity;
  const copies = await bench.capture(async () => {
    for (let i = 0; i < 5; i++)
      bench.ingress(udpFrame(rtp({ seq: 65533 + i, timestamp: 0xfffff000 + i * 3000 }, 50 + i)));
    const last = process.hrtime.bigint();
    await new Promise((resolve) => setTimeout(resolve, 20));
    retarget(bench, stream);
    least = units(process.hrtime.bigint() - last);
    for (let i = 0; i < 5; i++)
      bench.ingress(udpFrame(rtp({ seq: 100 + i, timestamp: 777 + i * 3000, ssrc: OTHER }, 60 + i), SECOND));
    bench.ingress(udpFrame(rtp({ seq: 105, timestamp: 777, ssrc: OTHER }), { ...SECOND, checksum: 0 }));
  });
  t.same(
    copies.filter((c) => c.header !== 'right' || c.checksum === 'wrong'),
    [],
  );
  for (const port of [10002, 10004]) {
    const got = copies.filter((c) => c.destinationPort === port).map((c) => c.payload);
    t.same(
      got.map(seqOf),
      Array.from({ length: 11 }, (_, i) => (65533 + i) & 0xffff),
    );
    t.same(new Set(got.map((p) => p.readUInt32BE(8))), new Set([SSRC]));
    const step = (timestampOf(got[5]!) - timestampOf(got[4]!)) >>> 0;
    t.ok(
      step >= least && step < 5 * 90000,
      `the first is later by what passed, ${step} of at least ${least} units`,
    );
    t.equal((timestampOf(got[6]!) - timestampOf(got[5]!)) >>> 0, 3000, 'then by its own steps');
    t.ok(got[6]!.subarray(12).equals(rtp({}, 61).subarray(12)), 'the payload is the same');
  }
  t.same(
    viewers.map((v) => bench.state.viewer(v.slot).packets),
    [11, 11],
    'counters go on',
  );
  t.match(bench.state.reception(stream), {
    ssrc: OTHER,
    baseSeq: 100,
    received: 6,
    sent: { ssrc: SSRC, seqOffset: (65538 - 100) & 0xffff },
  });
  await bench.close();
});

onBothEngines('nothing comes of another source before its first key frame', { skip }, async (t, engine) => {
  const bench = await KernelBench.create(engine);
  bench.codec = { codec: Codec.H264, payloadType: 96, cache: { first: 0, size: 0 } };
  const stream = bench.open();
  bench.add(stream, 1);
  const slice = (seq: number) => bench.ingress(udpFrame(rtpWith(SLICE, { seq, ssrc: OTHER }), SECOND));
  const copies = await bench.capture(async () => {
    bench.ingress(udpFrame(rtpWith(SLICE, { seq: 10 })));
    retarget(bench, stream, Codec.H264, 60_000);
    slice(100);
    slice(101);
    bench.ingress(udpFrame(rtpWith(IDR, { seq: 102, ssrc: OTHER }), SECOND));
    slice(103);
    retarget(bench, stream, Codec.H264, 20);
    slice(200);
    await new Promise((resolve) => setTimeout(resolve, 30));
    slice(201); // it has no key frame
  }, 4);
  t.same(
    copies.map((c) => seqOf(c.payload)),
    [10, 11, 12, 13],
    'and for the viewer none is missing',
  );
  t.same(bench.drops(), { 'before-picture': 3 });
  await bench.close();
});

onBothEngines(
  'sender reports are rewritten alike, whatever is in the compound',
  { skip },
  async (t, engine) => {
    const bench = await KernelBench.create(engine);
    const stream = bench.open();
    bench.add(stream, 1);
    const rtcp = { from: SECOND.from, sourcePort: SECOND.sourcePort + 1, port: SECOND.port + 1 };
    const report = senderReport(1, 2);
    report.writeUInt32BE(OTHER, 4);
    report.writeUInt32BE(777, 16);
    const sdes = Buffer.from('81ca0003000000000104616161610000', 'hex');
    sdes.writeUInt32BE(OTHER, 4);
    const goodbye = Buffer.from('81cb000100000000', 'hex');
    goodbye.writeUInt32BE(OTHER, 4);
    const foreign = Buffer.from('81cb000155555555', 'hex');
    let up: Buffer = Buffer.alloc(0);
    const copies = await bench.capture(async () => {
      bench.ingress(udpFrame(rtp({ seq: 1, timestamp: 90000 })));
      retarget(bench, stream);
      bench.ingress(udpFrame(rtp({ seq: 50, timestamp: 777, ssrc: OTHER }), SECOND));
      const run = bench.ingress(udpFrame(Buffer.concat([report, sdes, goodbye, foreign]), rtcp));
      t.equal(run.verdict, -1, 'it goes up as well');
      up = run.packet.subarray(42);
    });
    const media = copies.filter((c) => isRtp(c.payload)).map((c) => c.payload);
    const got = copies.find((c) => !isRtp(c.payload))!;
    t.equal(got.checksum, 'right');
    t.equal(got.payload.readUInt32BE(4), SSRC);
    t.equal(
      got.payload.readUInt32BE(16),
      timestampOf(media[1]!),
      'the same instant as the packet with its timestamp',
    );
    t.equal(got.payload.readUInt32BE(28 + 4), SSRC);
    t.equal(got.payload.readUInt32BE(28 + 16 + 4), SSRC);
    t.equal(got.payload.readUInt32BE(28 + 16 + 8 + 4), 0x55555555, "another's stays");
    t.ok(up.equals(got.payload), 'interleaved viewers are given the same');
    t.equal(got.payload.readUInt32BE(8), 1, 'wall-clock time is the source’s');
    await bench.close();
  },
);

onBothEngines(
  'a sender report before the first packet of another source goes to nobody',
  { skip },
  async (t, engine) => {
    const bench = await KernelBench.create(engine);
    const stream = bench.open();
    bench.add(stream, 1);
    const first = { sourcePort: SOURCE.rtcpPort, port: LOCAL.rtcpPort };
    const second = { from: SECOND.from, sourcePort: SECOND.sourcePort + 1, port: SECOND.port + 1 };
    const report = (ssrc: number, timestamp: number) => {
      const sr = senderReport(1, 2);
      sr.writeUInt32BE(ssrc, 4);
      sr.writeUInt32BE(timestamp, 16);
      return sr;
    };
    const goodbye = Buffer.from('80c9000100000000' + '81cb000100000000', 'hex');
    const copies = await bench.capture(async () => {
      bench.ingress(udpFrame(report(SSRC, 60_000), first));
      bench.ingress(udpFrame(rtp({ seq: 1, timestamp: 90_000 })));
      for (const ssrc of [SSRC, OTHER]) {
        retarget(bench, stream);
        t.equal(bench.ingress(udpFrame(report(ssrc, 5000), second)).verdict, 2);
        bench.ingress(udpFrame(goodbye, second));
        bench.ingress(udpFrame(rtp({ seq: 50, timestamp: 5000, ssrc }), SECOND));
        bench.ingress(udpFrame(report(ssrc, 6000), second));
      }
    }, 8);
    const media = copies.filter((c) => isRtp(c.payload)).map((c) => timestampOf(c.payload));
    const reports = copies.filter((c) => c.payload[1] === 200).map((c) => c.payload.readUInt32BE(16));
    t.equal(media.length, 3);
    t.same(
      reports,
      [60_000, media[1]! + 1000, media[2]! + 1000].map((timestamp) => timestamp >>> 0),
      'each time is that of the packets around it',
    );
    t.equal(copies.filter((c) => c.payload[1] === 201).length, 2, 'what has no time in it goes on');
    t.same(bench.drops(), { 'before-picture': 2 });
    await bench.close();
  },
);

onBothEngines(
  'another source that changes its SSRC goes on with the numbers as well',
  { skip },
  async (t, engine) => {
    const bench = await KernelBench.create(engine);
    const stream = bench.open();
    bench.add(stream, 1);
    const copies = await bench.capture(async () => {
      bench.ingress(udpFrame(rtp({ seq: 1, timestamp: 90_000 })));
      retarget(bench, stream);
      bench.ingress(udpFrame(rtp({ seq: 5000, timestamp: 700, ssrc: OTHER }), SECOND));
      for (let i = 0; i < 9; i++)
        bench.ingress(udpFrame(rtp({ seq: 41_000 + i, timestamp: 9_000_000 + 3000 * i, ssrc: 7 }), SECOND));
    });
    const got = copies.map((c) => c.payload).filter((p) => p.readUInt32BE(8) === SSRC);
    t.same(got.map(seqOf), [1, 2, 3, 4], 'strays aside, which seven packets of another SSRC may be');
    const step = (timestampOf(got[2]!) - timestampOf(got[1]!)) >>> 0;
    t.ok(step > 0 && step < 5 * 90000, `later by what passed, ${step} units`);
    t.equal(timestampOf(got[3]!) - timestampOf(got[2]!), 3000);
    await bench.close();
  },
);

onBothEngines(
  'the old source is a stranger from then on, and its port is free',
  { skip },
  async (t, engine) => {
    const bench = await KernelBench.create(engine);
    const stream = bench.open();
    const viewer = bench.add(stream, 1);
    retarget(bench, stream);
    t.equal(bench.ingress(udpFrame(rtp())).verdict, -1, 'its packets are no longer ours');
    t.equal(bench.ingress(udpFrame(rtp(), { ...SECOND, from: SOURCE.address })).verdict, 2);
    t.same(bench.drops(), { 'not-source': 1 });
    t.equal(bench.state.viewer(viewer.slot).packets, 0);
    t.doesNotThrow(() => bench.state.commands.close(bench.open()));
    bench.ingress(udpFrame(rtp({ seq: 9, ssrc: OTHER }), SECOND));
    t.match(
      bench.state.reception(stream),
      { sent: { ssrc: OTHER, seqOffset: 0, timestampOffset: 0 } },
      'nothing to continue',
    );
    await bench.close();
  },
);
