// SPDX-License-Identifier: Apache-2.0
// Viewers that do not get all layers, served by this process: by UDP and interleaved, with numbers, ends and reports of their own.
import t from 'tap';
import { UserspaceFanout } from '../../../src/control/kernel/userspace-fanout.js';
import { UserspacePictures } from '../../../src/control/kernel/userspace-pictures.js';
import { readRtpHeader } from '../../../src/control/rtp/header.js';
import { baseSlice, layeredRtp, svcSlice } from '../../fixtures/layered.js';
import { PAYLOAD_TYPE } from '../../fixtures/picture-cases.js';
import { senderReport } from '../../fixtures/packets.js';

const BODY = Buffer.alloc(20, 0x88);
const OPTIONS = { holdMs: 0, cachePackets: 0, cacheTotalPackets: 0 };

/** A stream of three layers, and what came to whom. */
class Scene {
  readonly got = new Map<number, Buffer[]>();
  readonly drops: string[] = [];
  readonly fanout: UserspaceFanout;
  seq = 65533;
  ssrc = 0x11223344;

  constructor() {
    const send = (packet: Buffer, to: { port: number }, sent: (error: null) => void) => {
      this.got.set(to.port, [...(this.got.get(to.port) ?? []), Buffer.from(packet)]);
      sent(null);
    };
    this.fanout = new UserspaceFanout(
      { sendRtp: send, sendRtcp: send },
      (reason) => this.drops.push(reason),
      new UserspacePictures(OPTIONS).open({ name: 'H264', payloadType: PAYLOAD_TYPE }),
    );
  }

  udp(id: number, rewrite = true) {
    return this.fanout.add({ ...spec(id, 10 * id, 10 * id + 1), rewrite });
  }

  interleaved(id: number) {
    const sink = { send: (frames: Buffer) => this.#unframe(id, frames), queued: 0 };
    return this.fanout.add({
      ...spec(id, 0, 1),
      interleaved: { sink, queueBytes: 1e6, dropping: () => {} },
    });
  }

  picture(picture: number, idr = false): void {
    [baseSlice(idr, BODY), svcSlice(1, idr, BODY), svcSlice(2, idr, BODY)].forEach((unit, i) => {
      this.packet(unit, picture, i === 2);
    });
  }

  packet(unit: Buffer, timestamp: number, marked: boolean): void {
    const packet = layeredRtp(unit, { seq: this.seq++, timestamp, marked, ssrc: this.ssrc });
    this.fanout.forwardRtp(packet, this.fanout.place(packet, readRtpHeader(packet)!));
  }

  /** What a report of the source's becomes that counts so many packets and octets. */
  reported(port: number, packets: number, octets: number): number[] {
    const report = senderReport();
    report.writeUInt32BE(packets, 20);
    report.writeUInt32BE(octets, 24);
    this.fanout.forwardRtcp(report);
    const got = this.got.get(port)!.at(-1)!;
    return [got.readUInt32BE(20), got.readUInt32BE(24)];
  }

  /** Number, marker and first byte of the payload of each. */
  seen(port: number): string[] {
    return (this.got.get(port) ?? []).map(
      (p) => `${p.readUInt16BE(2)}${p[1]! & 0x80 ? 'M' : ''} ${p[12]!.toString(16)}`,
    );
  }

  #unframe(id: number, frames: Buffer): void {
    for (let at = 0; at < frames.length; at += 4 + frames.readUInt16BE(at + 2)) {
      const packet = frames.subarray(at + 4, at + 4 + frames.readUInt16BE(at + 2));
      const key = 1000 * id + frames[at + 1]!;
      this.got.set(key, [...(this.got.get(key) ?? []), packet]);
    }
  }
}

function spec(id: number, rtpPort: number, rtcpPort: number) {
  return { id, localAddress: '127.0.0.1', address: '127.0.0.1', rtpPort, rtcpPort };
}

const ALL = ['65533 65', '65534 74', '65535M 74', '0 41', '1 74', '2M 74'];
const BASE = ['65533 65', '65534M c', '65535 41', '0M c'];

t.test('each gets what it is allowed, numbered for it, and nobody else notices', (t) => {
  const scene = new Scene();
  scene.udp(1);
  const base = scene.udp(2);
  const tcp = scene.interleaved(3);
  scene.interleaved(4);
  const verbatim = scene.udp(5, false);
  for (const handle of [base, tcp, verbatim]) handle.allow(0);
  scene.picture(1, true);
  scene.picture(2);
  t.same(scene.seen(10), ALL);
  t.same(scene.seen(20), BASE);
  t.same(scene.seen(3000), BASE, 'interleaved');
  t.same(scene.seen(4000), ALL);
  t.same(scene.seen(50), ['65533 65', '0 41'], 'not rewritten');
  t.match(base.counters(), { packets: 4, thinned: 4, thinnedBytes: 4 * (12 + 24), drops: 0 });
  t.match(tcp.counters(), { packets: 4, thinned: 4, thinnedBytes: 4 * (12 + 24), drops: 0 });
  t.equal(scene.fanout.notion, 'dependency');

  const report = senderReport();
  report.writeUInt32BE(6, 20);
  report.writeUInt32BE(2 * 21 + 4 * 24, 24);
  scene.fanout.forwardRtcp(report);
  const counts = (port: number) => {
    const [packet] = scene.got.get(port)!;
    return [packet!.readUInt32BE(20), packet!.readUInt32BE(24)];
  };
  t.same(counts(11), [6, 2 * 21 + 4 * 24]);
  t.same(counts(21), [4, 2 * 21 + 2 * 4]);
  t.same(counts(3001), [4, 2 * 21 + 2 * 4]);
  t.same(scene.drops, []);
  scene.fanout.close();
  t.end();
});

t.test('a source that counts anew: what was left out before is not taken off', (t) => {
  const changes = [
    { what: 'another source', change: (scene: Scene) => scene.fanout.forgetSource(), pictures: 2, left: 2 },
    // Seven packets go to all before another SSRC is believed.
    { what: 'another SSRC', change: (scene: Scene) => scene.ssrc++, pictures: 5, left: 3 },
  ];
  for (const { what, change, pictures, left } of changes) {
    const scene = new Scene();
    scene.udp(1).allow(1);
    const tcp = scene.interleaved(2);
    tcp.allow(1);
    for (let i = 1; i <= 10; i++) scene.picture(i, true);
    scene.packet(svcSlice(2, true, BODY), 11, false); // interleaved packets of this picture are being gathered
    t.same(scene.reported(11, 1000, 50_000), [1000 - 1, 50_000 - 10 * 20 - 24], what);
    change(scene);
    for (let i = 1; i <= pictures; i++) scene.picture(11 + i, true);
    for (const port of [11, 2001])
      t.same(scene.reported(port, 3 * pictures, 1000), [3 * pictures, 1000 - left * 20], what);
    t.match(tcp.counters(), { thinned: 11 + left, thinnedBytes: (11 + left) * 36 });
    scene.fanout.close();
  }
  t.end();
});

t.test('up again with the next key picture', (t) => {
  const scene = new Scene();
  const viewer = scene.interleaved(1);
  viewer.allow(1);
  scene.picture(1, true);
  viewer.allow(7);
  scene.picture(2);
  scene.picture(3, true);
  t.same(scene.seen(1000), [
    ...['65533 65', '65534 74', '65535M c'],
    ...['0 41', '1 74', '2M c'],
    ...['3 65', '4 74', '5M 74'],
  ]);
  scene.fanout.close();
  t.end();
});
