// SPDX-License-Identifier: Apache-2.0
// A second engine goes on with the kernel state of a first that has died: no packet is lost or doubled meanwhile, what is
// not claimed goes, what does not fit is refused.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Global } from '../../src/control/kernel/abi.gen.js';
import { shareMap } from '../../src/control/kernel/shared-memory.js';
import { TcDatapath } from '../../src/control/kernel/tc.js';
import { bindUdpPair } from '../../src/control/net/udp-pair.js';
import type { Log, StreamSpec, ViewerSpec } from '../../src/control/path/ports.js';
import { PortPairs } from '../../src/control/state/port-pairs.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { rtp } from '../fixtures/packets.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const HOST = '127.0.0.1';
const PORT = 8554;
/** More than one page of slots. */
const VIEWERS = 40;
const warnings: string[] = [];
const log: Log = {
  debug: () => {},
  info: () => {},
  warn: (fields, message) => void warnings.push(`${message}: ${(fields as { why?: string }).why}`),
  error: (_fields, message) => void warnings.push(message),
};

async function bound(): Promise<Socket & { port: number; numbers: number[] }> {
  const socket = createSocket('udp4').bind(0, HOST);
  await once(socket, 'listening');
  const numbers: number[] = [];
  socket.on('message', (packet) => numbers.push(packet.readUInt16BE(2)));
  return Object.assign(socket, { port: socket.address().port, numbers });
}

const open = (takeOver: boolean, orphanLimitMs?: number) =>
  TcDatapath.open({
    orphanLimitMs,
    port: PORT,
    objects: 'dist/bpf',
    log,
    takeOver,
    pictures: { holdMs: 0, cachePackets: 0, cacheTotalPackets: 0 },
  });

/** What the kernel knows of its owner, as if that had died (or been of another version). */
function change(engine: TcDatapath, field: number, value: number): void {
  const memory = shareMap(engine.state.maps.get('global')!, Global.SIZE);
  memory.view.setUint32(field, value, true);
  memory.close();
}
const dead = spawnSync('true').pid;

async function world() {
  const pairs = new PortPairs();
  const source = await bound();
  const spec: StreamSpec = {
    name: '/test video',
    localAddress: HOST,
    source: { address: HOST, rtpPort: source.port, rtcpPort: 0 },
    upstream: await bindUdpPair(pairs),
    downstream: await bindUdpPair(pairs),
    clockRate: 90000,
    encoding: { name: 'AV1', payloadType: 96, descriptorId: 4 },
  };
  const players = await Promise.all(Array.from({ length: VIEWERS }, bound));
  const viewer = (i: number): ViewerSpec => ({
    id: i + 1,
    localAddress: HOST,
    address: HOST,
    rtpPort: players[i]!.port,
    rtcpPort: players[i]!.port + 1,
  });
  let seq = 65000;
  const send = () => source.send(rtp({ seq: seq++ % 65536 }, 500), spec.upstream.rtpPort, HOST);
  const close = () => [source, ...players, spec.upstream, spec.downstream].forEach((thing) => thing.close());
  return { spec, viewer, players, send, sent: () => seq - 65000, close };
}

const expected = (count: number) => Array.from({ length: count }, (_, i) => (65000 + i) % 65536);
const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

t.test('nothing is lost or doubled while the engine changes', { skip }, async (t) => {
  const { spec, viewer, players, send, sent, close } = await world();
  const first = await open(false);
  const before = await first.open(spec);
  await Promise.all(players.map((_, i) => before.add(viewer(i))));
  const timer = setInterval(send, 2);
  await rest(100);
  change(first, Global.ownerPid, dead);

  const second = await open(true);
  const stream = await second.open(spec);
  const kept = await Promise.all(players.slice(1).map((_, i) => stream.add(viewer(i + 1))));
  t.ok(
    kept.every(({ counters }) => counters !== undefined),
    'claimed',
  );
  const packets = kept[0]!.counters().packets;
  t.ok(packets > 20, 'a viewer keeps its counters');
  second.settled();
  const abandoned = players[0]!.numbers.length;
  for (const then = sent(); sent() < then + 30;) await rest(20);
  clearInterval(timer);
  await rest(50);
  t.ok(sent() > 60, `${sent()} packets`);
  for (const player of players.slice(1)) t.same(player.numbers, expected(sent()));
  t.ok(players[0]!.numbers.length <= abandoned + 1, 'who was not claimed gets no more');
  t.ok(players[0]!.numbers.length < sent() - 20);
  t.match(stream.counters(), { packets: sent() });

  // The page table, which died with the first engine: a new viewer gets a place of its own, not somebody's.
  const newcomer = await bound();
  await stream.add({ ...viewer(0), id: 1000, rtpPort: newcomer.port, rtcpPort: newcomer.port + 1 });
  const other = await second.open({ ...spec, upstream: spec.downstream, downstream: spec.upstream });
  const elsewhere = await bound();
  await other.add({ ...viewer(0), id: 1001, rtpPort: elsewhere.port, rtcpPort: elsewhere.port + 1 });
  send();
  await rest(50);
  t.same(newcomer.numbers, [(65000 + sent() - 1) % 65536]);
  t.same(elsewhere.numbers, []);
  t.same(players[1]!.numbers, expected(sent()));
  t.same(warnings, []);
  await second.close();
  newcomer.close();
  elsewhere.close();
  first.hops.close();
  close();
});

t.test('what does not fit is not taken over', { skip }, async (t) => {
  const { spec, viewer, players, send, close } = await world();
  const first = await open(false);
  const before = await first.open(spec);
  await before.add(viewer(0));
  await t.rejects(open(true), /already serves port 8554/, 'its owner lives');
  change(first, Global.ownerPid, dead);
  change(first, Global.agreed, 99);
  warnings.length = 0;
  const second = await open(true);
  t.match(warnings[0], /cannot be taken over.*ABI 99, ours of \d+/);
  const stream = await second.open(spec);
  await stream.add(viewer(1));
  second.settled();
  send();
  await rest(50);
  t.equal(players[0]!.numbers.length, 0);
  t.equal(players[1]!.numbers.length, 1, 'the tables are made anew');
  await second.close();
  first.hops.close();
  close();
});
t.test(
  'without a heartbeat the kernel goes on for as long as it was told, then sends nothing',
  { skip },
  async (t) => {
    const { spec, viewer, players, send, close } = await world();
    const engine = await open(false, 5000);
    const stream = await engine.open(spec);
    await stream.add(viewer(0));
    const memory = shareMap(engine.state.maps.get('global')!, Global.SIZE);
    const silentFor = (ms: number) =>
      memory.view.setBigUint64(Global.heartbeatNs, process.hrtime.bigint() - BigInt(ms) * 1_000_000n, true);
    silentFor(4500);
    send();
    await rest(30);
    t.equal(players[0]!.numbers.length, 1);
    silentFor(-1000);
    send();
    await rest(30);
    t.equal(players[0]!.numbers.length, 2, 'it beats while a packet is worked on');
    silentFor(5100);
    send();
    await rest(30);
    t.equal(players[0]!.numbers.length, 2);
    t.ok(engine.drops().some(({ reason, count }) => reason === 'stale' && count === 1));
    memory.close();
    await engine.close();
    close();
  },
);
t.teardown(() => setTimeout(() => process.exit(), 100)); // the first engines are never closed: they are dead
