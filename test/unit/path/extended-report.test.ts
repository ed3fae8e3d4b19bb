// SPDX-License-Identifier: Apache-2.0
// Extended reports (RFC 3611) of viewers and of the source.
import t from 'tap';
import { buildExtendedReport, buildReceiverReport } from '../../../src/control/rtcp/build.js';
import { parseCompound } from '../../../src/control/rtcp/compound.js';
import { block, SSRC, VIEWER_SSRC, watching } from '../../fixtures/watching.js';
/** RR, and an XR of the viewer's with these blocks, hexadecimal. */
function extended(...blocks: string[]): Buffer {
  const body = Buffer.from(`11111111${blocks.join('')}`.replaceAll(' ', ''), 'hex');
  const header = Buffer.from([0x80, 207, 0, body.length / 4]);
  return Buffer.concat([buildReceiverReport(VIEWER_SSRC, 'v'), header, body]);
}

t.test('a reference time is answered with ours, and the answer to ours is the round trip', async (t) => {
  const { world, viewer, downstream } = await watching();
  const from = { address: viewer.remote.address, port: 40_001 };
  const time = extended('04000002 00000102 03040000');
  downstream.receiveRtcp(time, from);
  downstream.receiveRtcp(time, from);
  t.equal(downstream.sent.length, 1, 'not more often than twice a second');
  const { packet, to } = downstream.sent[0]!;
  t.same(to, from);
  const compound = parseCompound(packet);
  const [rr, sdes, xr] = compound.ok ? compound.packets : [];
  if (rr?.kind !== 'rr' || sdes?.kind !== 'sdes' || xr?.kind !== 'xr') throw new Error('not RR, SDES, XR');
  t.equal(xr.ssrc, rr.ssrc);
  t.not(xr.ssrc, SSRC, 'in our own name');
  const [ours, answers] = xr.blocks;
  t.match(answers, { answers: [{ ssrc: VIEWER_SSRC, lrr: 0x01020304, dlrr: 0 }] });
  if (ours?.kind !== 'reference-time') throw new Error('no reference time of ours');

  await world.advance(300);
  const hex = (n: number) => n.toString(16).padStart(8, '0');
  const held = hex(Math.round(0.2 * 65_536));
  downstream.receiveRtcp(extended(`05000003 ${hex(1)} ${hex(ours.ntpMiddle)} ${held}`), from);
  t.equal(world.proxy.clients()[0]!.tracks[0]!.extended, null, 'an answer to another is not ours');
  downstream.receiveRtcp(extended(`05000003 ${hex(xr.ssrc)} ${hex(ours.ntpMiddle)} ${held}`), from);
  const { roundTripMs } = world.proxy.clients()[0]!.tracks[0]!.extended!;
  t.ok(Math.abs(roundTripMs! - 100) < 0.1, '300 ms, of which the viewer held it 200');
  downstream.receiveRtcp(buildReceiverReport(VIEWER_SSRC, 'v', [block()]), from);
  t.equal(world.proxy.clients()[0]!.tracks[0]!.loss!.roundTripMs, roundTripMs, 'where there is no other');

  await world.advance(500);
  downstream.receiveRtcp(time, from);
  t.equal(downstream.sent.length, 2);
  await world.proxy.close();
});

t.test('sums and voice metrics are shown, about our source only', async (t) => {
  const { world, viewer, downstream } = await watching();
  const from = { address: viewer.remote.address, port: 40_001 };
  const summary = (ssrc: string) =>
    `06e00009 ${ssrc} 00010002 00000007 00000009 00000000 0000005a 0000002d 0000000f 00000000`;
  downstream.receiveRtcp(extended(summary('22222222')), from);
  t.equal(world.proxy.clients()[0]!.tracks[0]!.extended, null);
  const voice = '07000008 abcdef01 80400000 00000000 001e003c 00000000 507f297f 00000000 00000000';
  downstream.receiveRtcp(extended(summary('abcdef01'), voice), from);
  t.match(world.proxy.clients()[0]!.tracks[0]!.extended, {
    lost: 7,
    duplicates: 9,
    jitterMs: { min: 0, max: 1, mean: 0.5 },
    voice: { lossRate: 0.5, roundTripMs: 30, rFactor: 80, mosListening: 4.1, mosConversational: null },
  });
  t.equal(downstream.sent.length, 0);
  await world.proxy.close();
});

t.test('a source that answers reference times: the round trip to it', async (t) => {
  const { world, upstream } = await watching({ video: ['a=rtcp-xr:voip-metrics rcvr-rtt=all:10'] });
  await world.advance(8000);
  const compound = parseCompound(upstream.sent[0]!.packet);
  const [rr, , xr] = compound.ok ? compound.packets : [];
  if (rr?.kind !== 'rr' || xr?.kind !== 'xr') throw new Error('no XR');
  const [time] = xr.blocks;
  if (time?.kind !== 'reference-time') throw new Error('no reference time');
  t.equal(world.proxy.streams()[0]!.tracks[0]!.roundTripMs, null);
  const answer = buildExtendedReport(SSRC, 0n, [{ ssrc: rr.ssrc, lrr: time.ntpMiddle, dlrr: 0 }]);
  await world.advance(100);
  const sentNs = BigInt(time.ntpMiddle); // the middle of elapsed time, 1/65536 s
  const sinceMs = Number(((world.nowNs << 16n) / 1_000_000_000n - sentNs) & 0xffff_ffffn) / 65.536;
  upstream.receiveRtcp(Buffer.concat([buildReceiverReport(SSRC, 's'), answer]), {
    address: '192.0.2.1',
    port: 6001,
  });
  const { roundTripMs } = world.proxy.streams()[0]!.tracks[0]!;
  t.ok(Math.abs(roundTripMs! - sinceMs) < 1 && sinceMs >= 100, `${roundTripMs} ms`);
  await world.proxy.close();

  const plain = await watching();
  await plain.world.advance(8000);
  const first = parseCompound(plain.upstream.sent[0]!.packet);
  t.notOk(first.ok && first.packets.some(({ kind }) => kind === 'xr'), 'others are not asked');
  await plain.world.proxy.close();
});
