// SPDX-License-Identifier: Apache-2.0
// The source behind a stream of the user-space engine changes while viewers play: test/bpf/continuity.test.ts's twin.
import t from 'tap';

import { DEFAULT_PICTURES } from '../../../src/control/kernel/picture-options.js';
import { UserspacePictures } from '../../../src/control/kernel/userspace-pictures.js';
import { UserspaceStream } from '../../../src/control/kernel/userspace-stream.js';
import type { Endpoint, StreamSpec, UdpPair } from '../../../src/control/path/ports.js';
import { LOCAL, rtp, senderReport, SOURCE } from '../../fixtures/packets.js';
import { IDR, rtpWith, SLICE } from '../../fixtures/picture-cases.js';

const SSRC = 0x11223344;
const OTHER = 0x0a0b0c0d;
type Handler = (packet: Buffer, from: Endpoint) => void;

class Pair implements UdpPair {
  readonly rtpPort = 6000;
  readonly rtcpPort = 6001;
  readonly sent: Buffer[] = [];
  readonly heard: { rtp: Handler[]; rtcp: Handler[] } = { rtp: [], rtcp: [] };
  onRtp(handler: Handler): void {
    this.heard.rtp.push(handler);
  }
  onRtcp(handler: Handler): void {
    this.heard.rtcp.push(handler);
  }
  sendRtp(packet: Buffer): void {
    this.sent.push(Buffer.from(packet));
  }
  sendRtcp(packet: Buffer): void {
    this.sent.push(Buffer.from(packet));
  }
  close(): void {}
}

t.test('nothing comes of another source before its first key frame', async (t) => {
  let nowNs = 1_000_000_000n;
  const drops: string[] = [];
  const encoding = { name: 'H264', payloadType: 96 };
  const pictures = new UserspacePictures({ ...DEFAULT_PICTURES, holdMs: 1000 }, () => nowNs).open(encoding);
  const downstream = new Pair();
  const spec = (address: string): StreamSpec => ({
    ...{ name: 'x', localAddress: LOCAL.address, source: { address, rtpPort: 0, rtcpPort: 0 } },
    ...{ upstream: new Pair(), downstream, clockRate: 90_000, encoding },
  });
  const hear = ({ upstream, source }: StreamSpec, payload: Buffer, seq: number) => {
    for (const handler of (upstream as Pair).heard.rtp)
      handler(rtpWith(payload, { seq }), { address: source.address, port: 5 });
  };
  const [first, second, third] = [spec(SOURCE.address), spec('10.0.0.7'), spec('10.0.0.8')];
  const stream = new UserspaceStream(first, {
    ...{ monotonicNs: () => nowNs, pictures, onClose: () => {}, onDrop: (reason) => drops.push(reason) },
  });
  await stream.add({
    id: 1,
    localAddress: LOCAL.address,
    address: '10.0.0.9',
    rtpPort: 9000,
    rtcpPort: 9001,
  });
  hear(first, IDR, 10);
  stream.retarget(second, { fromPicture: true });
  hear(second, SLICE, 100);
  hear(second, IDR, 101);
  hear(second, SLICE, 102);
  stream.retarget(third, { fromPicture: true });
  hear(third, SLICE, 200);
  nowNs += 1_000_000_001n;
  hear(third, SLICE, 201);
  t.same(
    downstream.sent.map((p) => p.readUInt16BE(2)),
    [10, 11, 12, 13],
  );
  t.same(drops, ['before-picture', 'before-picture']);
  t.equal(stream.counters().packets, 6);
  stream.close();
});

t.test('viewers see one SSRC, and numbers that go on', async (t) => {
  let nowNs = 1_000_000_000n;
  const drops: string[] = [];
  const pictures = new UserspacePictures().open(undefined);
  const downstream = new Pair();
  const spec = (address: string): StreamSpec => ({
    ...{ name: 'x', localAddress: LOCAL.address, source: { address, rtpPort: 0, rtcpPort: 0 } },
    ...{ upstream: new Pair(), downstream, clockRate: 90_000 },
  });
  const first = spec(SOURCE.address);
  const stream = new UserspaceStream(first, {
    ...{ monotonicNs: () => nowNs, pictures, onClose: () => {}, onDrop: (reason) => drops.push(reason) },
  });
  const address = '10.0.0.9';
  await stream.add({ id: 1, localAddress: LOCAL.address, address, rtpPort: 9000, rtcpPort: 9001 });
  const hear = ({ upstream, source }: StreamSpec, kind: 'rtp' | 'rtcp', packet: Buffer) => {
    for (const handler of (upstream as Pair).heard[kind])
      handler(packet, { address: source.address, port: 5 });
  };
  for (let i = 0; i < 3; i++)
    hear(first, 'rtp', rtp({ seq: 65534 + i, timestamp: 0xfffff000 + i * 3000, ssrc: SSRC }));
  nowNs += 2_000_000_000n;
  const second = spec('10.0.0.7');
  stream.retarget(second);
  hear(first, 'rtp', rtp({ seq: 7, ssrc: SSRC }));
  hear(second, 'rtcp', senderReport(1, 2));
  for (let i = 0; i < 3; i++)
    hear(second, 'rtp', rtp({ seq: 100 + i, timestamp: 777 + i * 3000, ssrc: OTHER }));
  const report = senderReport(1, 2);
  report.writeUInt32BE(OTHER, 4);
  report.writeUInt32BE(777, 16);
  hear(second, 'rtcp', report);

  const changed = rtp({ seq: 41_000, timestamp: 9_000_000, ssrc: 7 });
  for (let i = 0; i < 8; i++) hear(second, 'rtp', Buffer.from(changed));
  const last = downstream.sent.at(-1)!;
  t.same(
    [last.readUInt32BE(8), last.readUInt16BE(2)],
    [SSRC, 4],
    'it goes on where the source changes its SSRC, too',
  );

  const media = downstream.sent.slice(0, 6);
  t.same(
    media.map((p) => p.readUInt16BE(2)),
    [65534, 65535, 0, 1, 2, 3],
    'sequence numbers; the former source is a stranger',
  );
  t.same(new Set(media.map((p) => p.readUInt32BE(8))), new Set([SSRC]));
  const steps = media.slice(1).map((p, i) => (p.readUInt32BE(4) - media[i]!.readUInt32BE(4)) >>> 0);
  t.same(steps, [3000, 3000, 180_000, 3000, 3000], 'the first is later by what passed');
  const sent = downstream.sent[6]!;
  t.equal(sent.readUInt32BE(4), SSRC);
  t.equal(
    sent.readUInt32BE(16),
    media[3]!.readUInt32BE(4),
    'the same instant as the packet with its timestamp',
  );
  t.match(stream.reception(), { ssrc: 7, baseSeq: 41_000, received: 1, sent: { ssrc: SSRC } });
  t.same(drops, ['before-picture'], 'whose time nobody can be told yet');
  stream.close();
});
