// SPDX-License-Identifier: Apache-2.0
// A hundred interleaved viewers, one of which stops reading: it misses whole pictures and, when it reads again, goes on
// with one that can be decoded; nobody else misses anything, or waits for it.
import t, { type Test } from 'tap';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { beginsPicture } from '../../src/control/rtp/picture.js';
import { Child, run } from '../../tools/netns/child.js';
import { canNetns, canRun } from '../../tools/netns/probe.js';
import { until } from '../../tools/netns/wait.js';
import { depacketizeH264 } from '../fixtures/h264-depacketizer.js';
import { InterleavedClient } from '../../tools/load/interleaved-client.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { Product, compiled, temporaryFolder } from './product.js';

t.setTimeout(280_000);

const skip =
  canRun('ffmpeg', ['-version']) ?? canNetns() ?? enterOwnNamespace(fileURLToPath(import.meta.url));
const VIEWERS = 100;
const BASELINE_MS = 3000;
const HEADER = 12;
/** Small, or it would take a minute until the proxy sees that somebody does not read. */
const SOCKET_BUFFER = '4096 65536 131072';

/** 2 Mbit/s of 25 pictures a second, a key frame each second. */
async function makeStream(): Promise<string> {
  const file = join(temporaryFolder(), 'clip.h264');
  await run('ffmpeg', [
    ...['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=640x480:rate=25:duration=10'],
    ...['-c:v', 'libx264', '-profile:v', 'baseline', '-preset', 'ultrafast', '-b:v', '2M', '-minrate', '2M'],
    ...['-maxrate', '2M', '-bufsize', '500k', '-g', '25', '-sc_threshold', '0', '-pix_fmt', 'yuv420p'],
    ...['-x264-params', 'slices=1:nal-hrd=cbr', '-f', 'h264', file],
  ]);
  return file;
}

/** What one viewer got, and when each picture was complete. */
class Log {
  readonly packets: Buffer[] = [];
  readonly seqs: number[] = [];
  /** By RTP timestamp, milliseconds. */
  readonly complete = new Map<number, number>();

  constructor(readonly keep: boolean) {}

  take(packet: Buffer): void {
    this.seqs.push(packet.readUInt16BE(2));
    if (this.keep) this.packets.push(packet);
    if (packet[1]! & 0x80) this.complete.set(packet.readUInt32BE(4), performance.now());
  }

  /** Indexes of packets before which some are missing. */
  get gaps(): number[] {
    return [...this.seqs.keys()].filter((i) => i > 0 && this.seqs[i] !== ((this.seqs[i - 1]! + 1) & 0xffff));
  }
}

/** For each picture that was complete everywhere between two moments: first to last viewer, milliseconds, sorted. */
function spreads(logs: readonly Log[], from: number, to: number): number[] {
  const found: number[] = [];
  for (const timestamp of logs[0]!.complete.keys()) {
    const times = logs.map(({ complete }) => complete.get(timestamp) ?? NaN);
    const first = Math.min(...times);
    if (first >= from && first < to) found.push(Math.max(...times) - first);
  }
  return found.sort((a, b) => a - b);
}

const median = (sorted: readonly number[]) => sorted[Math.floor(sorted.length / 2)]!;
const most = (sorted: readonly number[]) => sorted[Math.floor(sorted.length * 0.9)]!;

interface Moments {
  readonly begun: number;
  readonly stalled: number;
  readonly released: number;
}

/** By how much longer it takes from first to last viewer while one is stalled, milliseconds: median, and 90 % of pictures. */
function delays(t: Test, others: readonly Log[], { begun, stalled, released }: Moments): [number, number] {
  const before = spreads(others, begun, stalled);
  const meanwhile = spreads(others, stalled, released);
  const ms = (value: number) => value.toFixed(2);
  t.comment(
    `first to last of ${others.length} viewers, per picture: median ${ms(median(before))} ms before, ` +
      `${ms(median(meanwhile))} ms with one stalled; 90 % within ${ms(most(before))} and ${ms(most(meanwhile))} ms`,
  );
  t.ok(before.length > 50 && meanwhile.length > 50, 'enough pictures were compared');
  return [median(meanwhile) - median(before), most(meanwhile) - most(before)];
}

async function decodes(packets: readonly Buffer[]): Promise<number> {
  const nals = depacketizeH264(packets.map((packet) => packet.subarray(HEADER)));
  const file = join(temporaryFolder(), 'recovered.h264');
  writeFileSync(file, Buffer.concat(nals.flatMap((nal) => [Buffer.from([0, 0, 0, 1]), nal])));
  const frames = await run('ffmpeg', ['-v', 'error', '-xerror', '-i', file, '-f', 'framemd5', '-']);
  return frames.split('\n').filter((line) => line && !line.startsWith('#')).length;
}

t.test('one of a hundred stops reading', { skip: skip ?? false }, async (t) => {
  for (const name of ['tcp_wmem', 'tcp_rmem']) writeFileSync(`/proc/sys/net/ipv4/${name}`, SOCKET_BUFFER); // of this namespace
  t.equal(readFileSync('/proc/sys/net/ipv4/tcp_wmem', 'utf8').trim().split(/\s+/).join(' '), SOCKET_BUFFER);
  const camera = await Child.start(process.execPath, [
    ...[compiled('tools/camera/main.js'), '--listen', '127.0.0.1:8555', '--json'],
    ...['--clip', await makeStream()],
  ]);
  await camera.output(/"listening"/);
  const product = await Product.start({
    engine: 'userspace',
    source: 'rtsp://127.0.0.1:8555/camera',
    host: '127.0.0.1',
  });
  const logs = Array.from({ length: VIEWERS }, (_, i) => new Log(i === 0));
  const clients: InterleavedClient[] = [];
  try {
    for (const log of logs)
      clients.push(
        await InterleavedClient.play(product.url('127.0.0.1', '/camera'), (packet) => log.take(packet)),
      );
    const others = logs.slice(1);
    const begun = performance.now();
    await sleep(BASELINE_MS); // what is compared with
    t.same(
      clients.slice(1).map(({ announced }) => announced),
      others.map(({ seqs }) => seqs[0]),
      'RTP-Info names the first packet that each who joins really gets',
    );
    const stalled = performance.now();
    clients[0]!.stall();
    const slow = await until(
      'pictures to be left out',
      async () => {
        const row = (await product.clients()).find(({ id }) => id === 1)!;
        return row.tracks[0]!.queue!.picturesDropped > 30 && row;
      },
      30_000,
    );
    const released = performance.now();
    const queued = slow.tracks[0]!.queue!.bytes;
    t.ok(queued < 1024 * 1024, `${queued} bytes wait, and no more`);
    clients[0]!.goOn();
    const { seqs } = logs[0]!;
    const gapAt = await until('the end of the gap', () => Promise.resolve(logs[0]!.gaps[0]), 20_000);
    const after = () => logs[0]!.packets.slice(gapAt);
    await until(
      '40 pictures after it',
      () => Promise.resolve(after().filter((packet) => packet[1]! & 0x80).length >= 40),
      20_000,
    );
    clients[0]!.stall();

    t.equal(logs[0]!.gaps.length, 1, 'one gap');
    const last = logs[0]!.packets[gapAt - 1]!;
    const next = logs[0]!.packets[gapAt]!;
    t.ok(last[1]! & 0x80, 'the last picture before it is whole');
    const payloadType = next[1]! & 0x7f;
    t.ok(beginsPicture(next, { name: 'H264', payloadType }), 'a decoder can begin with the first after it');
    const end = after().findLastIndex((packet) => packet[1]! & 0x80);
    const frames = await decodes(after().slice(0, end + 1));
    t.ok(frames >= 40, `and does, without an error: ${frames} pictures`);
    const row = (await product.clients()).find(({ id }) => id === 1)!;
    t.equal(
      row.tracks[0]!.drops,
      (seqs[gapAt]! - seqs[gapAt - 1]! - 1) & 0xffff,
      'as many are counted as are missing',
    );

    t.same(others.filter(({ gaps }) => gaps.length > 0).length, 0, 'nobody else misses a packet');
    const rows = await product.clients();
    t.same(
      rows.filter(({ id, tracks }) => id !== 1 && tracks[0]!.drops > 0),
      [],
    );
    let delay = delays(t, others, { begun, stalled, released });
    // Something else on this machine may have delayed all; what the stalled one did would show every time.
    for (let again = 0; again < 4 && Math.max(...delay) > 5; again++) {
      clients[0]!.goOn();
      const begun = performance.now();
      await sleep(BASELINE_MS);
      const stalled = performance.now();
      clients[0]!.stall();
      await sleep(BASELINE_MS);
      delay = delays(t, others, { begun, stalled, released: performance.now() });
    }
    t.ok(delay[0] <= 5, 'nobody else is delayed by more than 5 ms');
    t.ok(delay[1] <= 5, 'nor now and then');
    t.match((await product.status()).refused, { 'viewer-too-slow': 1 });
  } finally {
    for (const client of clients) client.close();
    await product.idle().catch((error: Error) => t.fail(error.message));
    await product.stop();
    await camera.stop();
  }
});
