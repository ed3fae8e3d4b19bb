// SPDX-License-Identifier: Apache-2.0
// Packets of a source that come in over another device than the route to it says, over one that is made while they come, and
// over that of another source.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pino from 'pino';
import t from 'tap';
import { FrameWriter } from '../../src/control/kernel/frame.js';
import { TcDatapath } from '../../src/control/kernel/tc.js';
import { bindUdpPair } from '../../src/control/net/udp-pair.js';
import { PortPairs } from '../../src/control/state/port-pairs.js';
import { ifindex, ip } from '../fixtures/kernel-bench.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { rtp } from '../fixtures/packets.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const OURS = '10.1.0.1';
const SOURCE = '10.1.0.2';
const OTHER_SOURCE = '10.2.0.2';
const SOURCE_PORT = 5000;
const MAC = { ours: '020000000001', theirs: '020000000002' };

const colons = (mac: string) => mac.match(/../g)!.join(':');

/** Packets that are sent by eN come in over dN. */
function makeDevice(n: number): void {
  ip('link', 'add', `d${n}`, 'address', colons(MAC.ours), 'type', 'veth', 'peer', 'name', `e${n}`);
  ip('addr', 'add', `10.${n}.0.1/24`, 'dev', `d${n}`);
  for (const end of [`d${n}`, `e${n}`]) ip('link', 'set', end, 'up');
  ip('neigh', 'replace', `10.${n}.0.2`, 'lladdr', colons(MAC.theirs), 'dev', `d${n}`);
}

async function setUp() {
  for (const n of [1, 2]) makeDevice(n);
  const warnings: { stream?: string; devices?: string[] }[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => warnings.push(JSON.parse(line)) });
  const engine = await TcDatapath.open({ port: 8554, objects: 'dist/bpf', log });
  const pairs = new PortPairs();
  const [upstream, downstream] = [await bindUdpPair(pairs), await bindUdpPair(pairs)];
  const specOf = (address: string) => ({
    ...{ name: '/test', localAddress: OURS, upstream, downstream, clockRate: 90000 },
    source: { address, rtpPort: SOURCE_PORT, rtcpPort: SOURCE_PORT + 1 },
  });
  const stream = await engine.open(specOf(SOURCE));
  let seq = 0;
  /** One packet over that device, and some time for what it sets off. */
  const send = async (n: number, source = SOURCE) => {
    const writer = new FrameWriter(engine.sender.frame, {
      hop: {
        ...{ ifindex: ifindex(`e${n}`), mtu: 1500 },
        ...{ mac: Buffer.from(MAC.ours, 'hex'), sourceMac: Buffer.from(MAC.theirs, 'hex') },
      },
      ...{ source, sourcePort: SOURCE_PORT, address: OURS, port: upstream.rtpPort },
    });
    const packet = rtp({ seq: seq++ });
    writer.payload.set(packet);
    engine.sender.run(writer.write(packet.length), ifindex(`e${n}`));
    await sleep(50);
  };
  const socket = createSocket('udp4');
  socket.bind(0, OURS);
  await once(socket, 'listening');
  const { port } = socket.address();
  const viewer = await stream.add({
    ...{ id: 1, localAddress: OURS, address: OURS, rtpPort: port, rtcpPort: port + 1 },
  });
  /** Sends until the viewer gets it; returns whether it does, at last. */
  const arrives = async (n: number, source = SOURCE) => {
    const before = viewer.counters().packets;
    for (let i = 0; i < 80 && viewer.counters().packets === before; i++) await send(n, source);
    return viewer.counters().packets > before;
  };
  const close = async () => {
    await engine.close();
    for (const one of [socket, upstream, downstream]) one.close();
    for (const n of [1, 2]) ip('link', 'del', `d${n}`);
  };
  return { engine, stream, specOf, arrives, send, warnings, close };
}

t.test('another device than the route says, and one that is made anew', { skip }, async (t) => {
  const { engine, arrives, warnings, close } = await setUp();
  t.ok(await arrives(1));
  t.same(warnings, []);
  t.notMatch(engine.facts()['devices'], /\bd2\b/);
  t.ok(await arrives(2), 'over another');
  t.equal(warnings.length, 1);
  t.equal(warnings[0]!.stream, '/test');
  t.ok(warnings[0]!.devices!.includes('d2'));
  for (const turn of ['once', 'twice']) {
    ip('link', 'del', 'd2');
    makeDevice(2);
    t.ok(await arrives(2), `over that name's next device, ${turn}`);
  }
  t.equal(warnings.length, 3);
  t.same(String(engine.facts()['devices']).match(/\bd2\b/g), ['d2'], 'those that are gone are forgotten');
  await close();
});

t.test('beside a viewer that is served by the process', { skip }, async (t) => {
  const { stream, arrives, send, warnings, close } = await setUp();
  const frames: Buffer[] = [];
  const sink = { queued: 0, send: (frame: Buffer) => void frames.push(frame) };
  await stream.add({
    ...{ id: 2, localAddress: OURS, address: OURS, rtpPort: 0, rtcpPort: 1 },
    interleaved: { sink, queueBytes: 1e6, dropping: () => {} },
  });
  for (let i = 0; i < 20; i++) await send(1);
  t.ok(await arrives(1));
  t.ok(frames.length > 0);
  t.same(warnings, [], 'packets that were passed up were seen');
  t.ok(await arrives(2), 'those that were not are noticed');
  t.equal(warnings.length, 1);
  t.equal(warnings[0]!.stream, '/test');
  t.ok(warnings[0]!.devices!.includes('d2'));
  await close();
});

t.test('another source has a device of its own', { skip }, async (t) => {
  const { engine, stream, specOf, arrives, warnings, close } = await setUp();
  stream.retarget(specOf(OTHER_SOURCE));
  await sleep(200);
  t.match(engine.facts()['devices'], /\bd2\b/, 'before its first packet');
  t.ok(await arrives(2, OTHER_SOURCE));
  t.same(warnings, []);
  await close();
});
