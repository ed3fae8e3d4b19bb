// SPDX-License-Identifier: Apache-2.0
// The RTCP codec against a table of cases, random bytes, every truncation, and rtp.js as an independent reader.
import { deepStrictEqual, ok } from 'node:assert/strict';
import fc from 'fast-check';
import { packets as oracle } from 'rtp.js';
import t from 'tap';
import { buildGoodbye, buildReceiverReport, buildSenderReport } from '../../../src/control/rtcp/build.js';
import { parseCompound, type RtcpRefusal } from '../../../src/control/rtcp/compound.js';
import type { ReportBlock, RtcpPacket, SenderInfo } from '../../../src/control/rtcp/packet.js';
import { RTCP_CASES, bytesOf } from '../../fixtures/rtcp-cases.js';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const aBlock: fc.Arbitrary<ReportBlock> = fc.record(
  {
    ssrc: u32,
    fraction: fc.integer({ min: 0, max: 255 }),
    cumulative: fc.integer({ min: -0x800000, max: 0x7fffff }),
    extendedMaxSeq: u32,
    jitter: u32,
    lsr: u32,
    dlsr: u32,
  },
  { noNullPrototype: true },
);
const blocks = fc.array(aBlock, { maxLength: 31 });
const text = fc.string({ unit: 'grapheme', maxLength: 60 }).filter((s) => Buffer.byteLength(s) <= 255);
const sender: fc.Arbitrary<SenderInfo> = fc.record(
  {
    ssrc: u32,
    ntp: fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }),
    rtpTimestamp: u32,
    packetCount: u32,
    octetCount: u32,
  },
  { noNullPrototype: true },
);

function parsed(bytes: Buffer): readonly RtcpPacket[] {
  const result = parseCompound(bytes);
  if (!result.ok) throw new Error(result.reason);
  return result.packets;
}

function view(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

t.test('table of cases', (t) => {
  for (const c of RTCP_CASES) {
    const result = parseCompound(bytesOf(c));
    t.strictSame(result.ok ? result.packets : result.reason, c.expect, c.name);
  }
  const refused = new Set(RTCP_CASES.map((c) => c.expect).filter((e) => typeof e === 'string'));
  t.equal(refused.size, 10, 'every reason for refusal has a case');
  t.end();
});

t.test('what we build, we read back', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        u32,
        text,
        blocks,
        sender,
        fc.option(text, { nil: undefined }),
        (ssrc, cname, blocks, info, why) => {
          const sdes = (ssrc: number) => ({ kind: 'sdes', chunks: [{ ssrc, cname }] });
          deepStrictEqual(parsed(buildReceiverReport(ssrc, cname, blocks)), [
            { kind: 'rr', ssrc, blocks },
            sdes(ssrc),
          ]);
          deepStrictEqual(parsed(buildSenderReport(info, cname, blocks)), [
            { kind: 'sr', ...info, blocks },
            sdes(info.ssrc),
          ]);
          deepStrictEqual(parsed(buildGoodbye(ssrc, cname, why)), [
            { kind: 'rr', ssrc, blocks: [] },
            sdes(ssrc),
            { kind: 'bye', ssrcs: [ssrc], ...(why !== undefined && { reason: why }) },
          ]);
        },
      ),
      { numRuns: 100 },
    ),
  );
  t.end();
});

t.test('what does not fit its field is refused when building', (t) => {
  const block = { ssrc: 1, fraction: 0, cumulative: 0, extendedMaxSeq: 0, jitter: 0, lsr: 0, dlsr: 0 };
  t.throws(() => buildReceiverReport(1, 'é'.repeat(128)), RangeError);
  t.throws(() => buildGoodbye(1, '', 'x'.repeat(256)), RangeError);
  t.throws(() => buildReceiverReport(1, '', Array(32).fill(block)), RangeError);
  t.throws(() => buildReceiverReport(1, '', [{ ...block, cumulative: 0x800000 }]), RangeError);
  t.end();
});

t.test('rtp.js reads what we build', (t) => {
  const property = fc.property(sender, text, blocks, text, (info, cname, blocks, why) => {
    const [sr, sdes] = new oracle.CompoundPacket(view(buildSenderReport(info, cname, blocks))).getPackets();
    ok(sr instanceof oracle.SenderReportPacket && sdes instanceof oracle.SdesPacket);
    const ntp = (BigInt(sr.getNtpSeconds()) << 32n) | BigInt(sr.getNtpFraction());
    deepStrictEqual(
      {
        ssrc: sr.getSsrc(),
        ntp,
        rtpTimestamp: sr.getRtpTimestamp(),
        packetCount: sr.getPacketCount(),
        octetCount: sr.getOctetCount(),
      },
      info,
    );
    deepStrictEqual(
      sr.getReports().map((r, i) => ({
        ssrc: r.getSsrc(),
        fraction: r.getFractionLost(),
        // rtp.js 0.15 reads only 12 of the 24 bits, and never a negative loss: taken from ours.
        cumulative: blocks[i]?.cumulative,
        extendedMaxSeq: r.getHighestSeqNumber(),
        jitter: r.getJitter(),
        lsr: r.getLastSRTimestamp(),
        dlsr: r.getDelaySinceLastSR(),
      })),
      blocks,
    );
    const chunks = sdes.getChunks().map((c) => ({ ssrc: c.getSsrc(), items: c.getItems() }));
    deepStrictEqual(chunks, [{ ssrc: info.ssrc, items: [{ type: 1, text: cname }] }]);

    const [rr, , bye] = new oracle.CompoundPacket(view(buildGoodbye(info.ssrc, cname, why))).getPackets();
    ok(rr instanceof oracle.ReceiverReportPacket && bye instanceof oracle.ByePacket);
    deepStrictEqual([rr.getSsrc(), rr.getReports()], [info.ssrc, []]);
    // rtp.js takes an empty reason for none.
    deepStrictEqual([bye.getSsrcs(), bye.getReason() ?? ''], [[info.ssrc], why]);
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 50 }));
  t.end();
});

t.test('we read what rtp.js builds', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        u32,
        blocks,
        text.filter((s) => s !== ''),
        (ssrc, blocks, cname) => {
          // rtp.js writes a cumulative loss right where it is not negative, and below its own limit.
          const expected = blocks.map((b) => ({ ...b, cumulative: Math.abs(b.cumulative + 1) % 0x7fffff }));
          const rr = new oracle.ReceiverReportPacket();
          rr.setSsrc(ssrc);
          for (const b of expected) {
            const report = new oracle.ReceptionReport();
            report.setSsrc(b.ssrc);
            report.setTotalLost(b.cumulative);
            report.setFractionLost(b.fraction);
            report.setHighestSeqNumber(b.extendedMaxSeq);
            report.setJitter(b.jitter);
            report.setLastSRTimestamp(b.lsr);
            report.setDelaySinceLastSR(b.dlsr);
            rr.addReport(report);
          }
          const chunk = new oracle.SdesChunk();
          chunk.setSsrc(ssrc);
          chunk.addItem(1, cname);
          const sdes = new oracle.SdesPacket();
          sdes.addChunk(chunk);
          const bye = new oracle.ByePacket();
          bye.addSsrc(ssrc);
          bye.setReason(cname);
          bye.padTo4Bytes();
          const compound = new oracle.CompoundPacket();
          compound.setPackets([rr, sdes, bye]);
          compound.serialize();
          const { buffer, byteOffset, byteLength } = compound.getView();
          deepStrictEqual(parsed(Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)), [
            { kind: 'rr', ssrc, blocks: expected },
            { kind: 'sdes', chunks: [{ ssrc, cname }] },
            { kind: 'bye', ssrcs: [ssrc], reason: cname },
          ]);
        },
      ),
      { numRuns: 50 },
    ),
  );
  t.end();
});

t.test('truncated anywhere, a compound packet is refused or is its whole packets so far', (t) => {
  for (const c of RTCP_CASES) {
    if (typeof c.expect === 'string') continue;
    const whole = bytesOf(c);
    const ends = new Map<number, number>();
    let end = 0;
    c.bytes.forEach((packet, i) => ends.set((end += packet.replaceAll(' ', '').length / 2), i + 1));
    for (let length = 0; length < whole.length; length++) {
      const result = parseCompound(whole.subarray(0, length));
      const packets = ends.get(length);
      if (packets === undefined) t.equal(result.ok, false, `${c.name}: ${length} bytes`);
      else
        t.strictSame(result, { ok: true, packets: c.expect.slice(0, packets) }, `${c.name}: ${length} bytes`);
    }
  }
  t.end();
});

t.test('random bytes never throw and never read past the datagram', (t) => {
  const header = fc.tuple(fc.constantFrom(0x80, 0x81, 0x9f, 0xa0, 0xa1), fc.integer({ min: 199, max: 208 }));
  const refusals = new Set<RtcpRefusal | 'none'>();
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(header, fc.nat(40), fc.uint8Array({ maxLength: 200 }), ([flags, type], words, rest) => {
        // Followed by bytes that are not the datagram's: were they read, the two results would differ.
        const size = 4 + rest.length;
        const low = Buffer.concat([
          Buffer.from([flags, type, 0, words]),
          rest,
          Buffer.alloc(300, 0),
        ]).subarray(0, size);
        const high = Buffer.concat([low, Buffer.alloc(300, 0xff)]).subarray(0, size);
        const result = parseCompound(low);
        deepStrictEqual(result, parseCompound(high));
        refusals.add(result.ok ? 'none' : result.reason);
      }),
      { numRuns: 1000 },
    ),
  );
  t.ok(refusals.size >= 4, `reached ${[...refusals].join(' ')}`);
  t.end();
});
