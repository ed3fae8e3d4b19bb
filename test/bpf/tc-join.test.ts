// SPDX-License-Identifier: Apache-2.0
// Joining the TC engine in the middle of pictures, with sockets at both ends: each viewer begins with a picture, at once,
// and gets every packet from there on exactly once.
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pino from 'pino';
import t, { type Test } from 'tap';
import { TcDatapath } from '../../src/control/kernel/tc.js';
import { bindUdpPair } from '../../src/control/net/udp-pair.js';
import type { StreamHandle, ViewerHandle, ViewerSpec } from '../../src/control/path/ports.js';
import { Framer } from '../../src/control/rtsp/framer.js';
import { PortPairs } from '../../src/control/state/port-pairs.js';
import { ip } from '../fixtures/kernel-bench.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { PAYLOAD_TYPE, rtpWith } from '../fixtures/picture-cases.js';
import { random } from '../fixtures/random.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const HOST = '127.0.0.1';
const BURST = 10;
const BURST_MS = 10;
const IDR = Buffer.from('65888400', 'hex');
const SLICE = Buffer.from('419a0000', 'hex');
const BEGINS = 0x65;

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31);

async function bound() {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  socket.bind(0, HOST);
  await once(socket, 'listening');
  return Object.assign(socket, { port: socket.address().port });
}

/** What a viewer got: the number of each packet in the order of sending, which its sequence number is the end of. */
interface Viewer {
  readonly by: 'udp' | 'tcp';
  readonly handle: ViewerHandle;
  readonly got: number[];
  readonly bytes: number;
  readonly firstBegins: boolean;
  /** From the call of add() to the first packet, milliseconds. */
  readonly firstAfterMs: number;
  leave(): void;
}

/** What is written to an interleaved viewer is cut into packets at once. */
function interleaved(
  take: (packet: Buffer) => void,
): Pick<ViewerSpec, 'rtpPort' | 'rtcpPort' | 'interleaved'> {
  const framer = new Framer();
  const send = (frames: Buffer) => {
    framer.push(frames);
    for (let frame = framer.next(); frame; frame = framer.next())
      if (frame.kind === 'frame') take(frame.payload);
  };
  const sink = { send, queued: 0 };
  return { rtpPort: 0, rtcpPort: 1, interleaved: { sink, queueBytes: 1e6, dropping: () => {} } };
}

class Stage {
  sent = 0;
  readonly #engine: TcDatapath;
  readonly #stream: StreamHandle;
  readonly #send: (packet: Buffer) => void;
  readonly #close: (() => void)[];
  #ids = 1;

  private constructor(
    engine: TcDatapath,
    stream: StreamHandle,
    send: (packet: Buffer) => void,
    close: (() => void)[],
  ) {
    this.#engine = engine;
    this.#stream = stream;
    this.#send = send;
    this.#close = close;
  }

  static async set(t: Test): Promise<Stage> {
    const log = pino({ level: 'error' });
    const engine = await TcDatapath.open({ port: 8554, objects: 'dist/bpf', log });
    const pairs = new PortPairs();
    const [upstream, downstream] = [await bindUdpPair(pairs), await bindUdpPair(pairs)];
    const source = await bound();
    const stream = await engine.open({
      name: '/test video',
      localAddress: HOST,
      source: { address: HOST, rtpPort: source.port, rtcpPort: 0 },
      upstream,
      downstream,
      clockRate: 90000,
      encoding: { name: 'H264', payloadType: PAYLOAD_TYPE },
    });
    const send = (packet: Buffer) => source.send(packet, upstream.rtpPort, HOST);
    const stage = new Stage(
      engine,
      stream,
      send,
      [source, upstream, downstream].map((s) => () => s.close()),
    );
    t.teardown(() => stage.close());
    return stage;
  }

  /** `gop` packets that begin with a picture, in bursts, about 1000 a second; `between` is called after each burst. */
  async pictures(gop: number, between: () => void): Promise<void> {
    for (let i = 0; i < gop; i++) {
      const number = Buffer.alloc(4 + ((this.sent * 37) % 300)); // of all sizes, growing and shrinking
      number.writeUInt32BE(this.sent);
      const marker = i % BURST === BURST - 1;
      this.#send(rtpWith(Buffer.concat([i === 0 ? IDR : SLICE, number]), { seq: this.sent++, marker }));
      if (!marker) continue;
      await delay(BURST_MS);
      between();
    }
  }

  /** A viewer that nobody listens for. */
  add(localAddress: string, address: string): Promise<ViewerHandle> {
    return this.#stream.add({ id: this.#ids++, localAddress, address, rtpPort: 9, rtcpPort: 10 });
  }

  async join(by: 'udp' | 'tcp' = 'udp'): Promise<Viewer> {
    const viewer = { by, got: [] as number[], bytes: 0, firstBegins: false, firstAfterMs: Infinity };
    let since = 0;
    const take = (packet: Buffer) => {
      if (viewer.got.length === 0) {
        viewer.firstBegins = packet[12] === BEGINS;
        viewer.firstAfterMs = performance.now() - since;
      }
      viewer.got.push(packet.readUInt32BE(16));
      viewer.bytes += packet.length;
    };
    const way = by === 'udp' ? await this.#udp(take) : interleaved(take);
    const id = this.#ids++;
    since = performance.now();
    const handle = await this.#stream.add({ id, localAddress: HOST, address: HOST, ...way });
    return Object.assign(viewer, { handle, leave: () => handle.remove() });
  }

  async #udp(take: (packet: Buffer) => void): Promise<Pick<ViewerSpec, 'rtpPort' | 'rtcpPort'>> {
    const socket = await bound();
    this.#close.push(() => socket.close());
    socket.on('message', take);
    return { rtpPort: socket.port, rtcpPort: 9 };
  }

  /** Until these have the last packet, or have had the time for it; and then whoever gets one too many. */
  async arrived(viewers: readonly Viewer[]): Promise<void> {
    const last = ({ got }: Viewer) => got.at(-1) === this.sent - 1;
    for (let i = 0; i < 100 && !viewers.every(last); i++) await delay(20);
    await delay(50);
  }

  get drops(): Record<string, number> {
    const counted = this.#engine.drops().filter(({ count }) => count > 0);
    return Object.fromEntries(counted.map(({ reason, count }) => [reason, count]));
  }

  async close(): Promise<void> {
    await this.#engine.close();
    for (const close of this.#close) close();
  }
}

/** What is wrong with what a viewer got, if anything. */
function fault({ by, got, bytes, firstBegins, handle }: Viewer): string | undefined {
  const { packets, bytes: counted, drops } = handle.counters();
  const gap = got.findIndex((number, i) => number !== got[0]! + i);
  if (gap >= 0)
    return `after ${got[gap - 1]} came ${got[gap]}, ${gap} packets from its beginning at ${got[0]}`;
  if (packets !== got.length || counted !== bytes || drops !== 0)
    return `counted ${packets} packets, ${counted} bytes, ${drops} drops; came ${got.length} packets, ${bytes} bytes`;
  if (handle.servedBy !== (by === 'udp' ? 'kernel' : 'userspace')) return `served by ${handle.servedBy}`;
  if (got.length > 0 && !firstBegins) return `${got[0]} begins no picture`;
  if (handle.first && got.length > 0 && handle.first.seq !== (got[0]! & 0xffff))
    return `was told ${handle.first.seq}, got ${got[0]}`;
  return undefined;
}

for (const ways of [['udp'], ['udp', 'tcp'], ['tcp']] as const)
  t.test(`${ways.join(' and ')}: joins and leaves in the middle of pictures, seed ${seed}`, { skip }, (t) =>
    comeAndGo(t, ways),
  );

async function comeAndGo(t: Test, ways: readonly ('udp' | 'tcp')[]): Promise<void> {
  const below = random(seed);
  const stage = await Stage.set(t);
  const present: Viewer[] = [await stage.join(ways[0])];
  const all: Viewer[] = [...present];
  const joins: Promise<void>[] = [];
  const LASTING = ways.length > 1 ? 2 : 8; // so few that often none of one kind is left
  const change = () => {
    if (joins.length < 150 && below(2) === 0)
      joins.push(
        stage.join(ways[below(ways.length)]).then((viewer) => {
          present.push(viewer);
          all.push(viewer);
        }),
      );
    if (present.length > LASTING && below(2) === 0) present.splice(below(present.length), 1)[0]!.leave();
  };
  while (joins.length < 150) await stage.pictures(80 + below(40), change);
  await stage.pictures(20, () => {});
  await Promise.all(joins);
  await stage.arrived(present);
  for (const viewer of all) {
    const wrong = fault(viewer);
    if (wrong) t.fail(wrong);
  }
  t.equal(all.length, 151);
  const cached = all.filter(({ handle }) => handle.first);
  t.ok(cached.length >= 120, `${cached.length} joined from the cache`);
  t.ok(
    present.every(({ got }) => got.at(-1) === stage.sent - 1),
    'who stayed has the last packet',
  );
  const worst = Math.max(...cached.map(({ firstAfterMs }) => firstAfterMs));
  t.ok(worst < 200, `first packet after ${worst.toFixed(1)} ms at most`);
  t.same(stage.drops, {});
}

t.test('a picture that began long ago', { skip }, async (t) => {
  const stage = await Stage.set(t);
  const all = [await stage.join()];
  let burst = 0;
  const joins: Promise<unknown>[] = [];
  await stage.pictures(1900, () => {
    if (++burst % 9 === 0) joins.push(stage.join().then((viewer) => all.push(viewer)));
  });
  await Promise.all(joins);
  await stage.arrived(all);
  t.equal(all.length, 22);
  for (const viewer of all) {
    t.equal(fault(viewer), undefined);
    t.same([viewer.got[0], viewer.got.length], [0, 1900], 'all of it');
  }
  const late = all.slice(1);
  t.ok(late.every(({ handle }) => handle.first?.seq === 0));
  const worst = Math.max(...late.map(({ firstAfterMs }) => firstAfterMs));
  t.ok(worst < 200, `first packet after ${worst.toFixed(1)} ms at most`);
  t.same(stage.drops, {});
});

/** By which 10.9.0.2 is reached. */
function addAway(): void {
  ip('link', 'add', 'away0', 'type', 'veth', 'peer', 'name', 'away1');
  for (const end of ['away0', 'away1']) ip('link', 'set', end, 'up');
  ip('addr', 'add', '10.9.0.1/24', 'dev', 'away0');
  ip('neigh', 'replace', '10.9.0.2', 'lladdr', '02:00:00:00:00:09', 'dev', 'away0', 'nud', 'permanent');
}

t.test('a device that takes less than comes while a viewer behind it joins', { skip }, async (t) => {
  addAway();
  const shape = ['rate', '500kbit', 'burst', '2000', 'limit', '3000'];
  execFileSync('tc', ['qdisc', 'replace', 'dev', 'away0', 'root', 'tbf', ...shape]);
  const stage = await Stage.set(t);
  const here = await stage.join();
  await stage.pictures(300, () => {});
  const away = await stage.add('10.9.0.1', '10.9.0.2');
  t.match(away.first, { seq: 0 });
  await stage.pictures(1600, () => {}); // which the cache can hold with those before
  const { packets, held = 0 } = away.counters();
  t.ok(packets > 0 && packets < 1000, `${packets} packets`);
  t.ok(held > 0, `it waits among the live for the next picture: ${held} packets were not for it`);
  t.equal(fault(here), undefined, 'others notice nothing');
  ip('link', 'del', 'away0');
});

t.test('a device that goes away while a viewer behind it joins', { skip }, async (t) => {
  addAway();
  const stage = await Stage.set(t);
  const here = await stage.join();
  await stage.pictures(600, () => {});
  const away = await stage.add('10.9.0.1', '10.9.0.2');
  t.match(away.first, { seq: 0 });
  const { packets } = away.counters();
  t.ok(packets > 0 && packets < 600, `${packets} packets so far`);
  ip('link', 'del', 'away0');
  await stage.pictures(100, () => {});
  for (let i = 0; i < 100 && away.counters().drops + away.counters().packets < stage.sent; i++)
    await delay(20);
  const after = away.counters();
  t.equal(after.packets + after.drops, stage.sent, 'each packet is accounted for, once');
  t.equal(after.packets, packets, 'sent is what was sent');
  t.same(stage.drops, { 'egress-error': after.drops });
  t.equal(fault(here), undefined, 'others notice nothing');
});
