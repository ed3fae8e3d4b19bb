// SPDX-License-Identifier: Apache-2.0
// Which device XDP serves and which not, and that nobody notices: drivers that take no XDP frames, devices in turn, a
// kernel that no longer tells what drivers took.
import { execFileSync } from 'node:child_process';
import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Global, Limit, Stream } from '../../src/control/kernel/abi.gen.js';
import { tcAttach, tcDetach } from '../../src/control/kernel/libbpf.js';
import { shareMap } from '../../src/control/kernel/shared-memory.js';
import { placeOn } from '../../src/control/kernel/tc-filters.js';
import { takesFrames } from '../../src/control/kernel/xdp-features.js';
import { XdpStage } from '../../src/control/kernel/xdp.js';
import { Child } from '../../tools/netns/child.js';
import { ifindex, ip, KernelBench } from '../fixtures/kernel-bench.js';
import { enterOwnNamespace } from '../fixtures/own-namespace.js';
import { LOCAL, rtp, senderReport, SOURCE, udpFrame } from '../fixtures/packets.js';

const skip = enterOwnNamespace(fileURLToPath(import.meta.url)) ?? false;
const VIEWERS = 150;
const PACKETS = 30;

/** A second outlet, whose far end polls (takes XDP frames) or does not. */
function addOutlet(bench: KernelBench, polls: boolean, queues = 1): KernelBench['outlet'] {
  const each = ['numtxqueues', `${queues}`, 'numrxqueues', `${queues}`];
  ip('link', 'add', 'alt0', ...each, 'type', 'veth', 'peer', 'name', 'alt1', ...each);
  for (const end of ['alt0', 'alt1']) ip('link', 'set', end, 'addrgenmode', 'none', 'up');
  execFileSync('ethtool', ['-K', 'alt1', 'gro', polls ? 'on' : 'off']);
  execFileSync('ethtool', ['-K', 'alt0', 'tso', 'off']); // or TC's copies go past the far end's queues
  return { ...bench.outlet, ifindex: ifindex('alt0') };
}

/** Sends, and returns how many copies XDP made of them. */
async function send(bench: KernelBench): Promise<number> {
  const before = Number(bench.xdp.facts()['copies made by XDP']);
  for (let seq = 0; seq < PACKETS; seq++) bench.ingress(udpFrame(rtp({ seq })));
  await bench.drained();
  return Number(bench.xdp.facts()['copies made by XDP']) - before;
}

function served(bench: KernelBench, slots: readonly { slot: number }[]): Set<number> {
  return new Set(slots.map(({ slot }) => bench.state.viewer(slot).packets));
}

for (const [what, polls, share] of [
  ['both take XDP frames', true, 1],
  ['one takes none: TC serves it', false, 0.5],
] as const)
  t.test(`viewers behind two devices in turn; ${what}`, { skip }, async (t) => {
    const bench = await KernelBench.create('xdp');
    const other = addOutlet(bench, polls);
    await bench.xdp.serve({ ifindex: other.ifindex, name: 'alt0' });
    const stream = bench.open();
    const all = Array.from({ length: VIEWERS }, (_, n) => bench.add(stream, n, n % 2 ? other : bench.outlet));
    const byXdp = await send(bench);
    t.same(served(bench, all), new Set([PACKETS]), 'everybody got every packet');
    t.same(bench.drops(), {});
    t.equal(bench.state.ticketsOut(), 0);
    if (polls) t.match(bench.xdp.facts(), { 'XDP serves a stream on': /^one CPU: (alt0 has one|see)/ });
    t.equal(bench.xdp.facts()['devices that take no XDP frames'], polls ? 'none' : 'alt0');
    if (share === 1) t.equal(byXdp, VIEWERS * PACKETS);
    else t.ok(byXdp <= share * VIEWERS * PACKETS, `${byXdp} copies by XDP`);
    ip('link', 'del', 'alt0');
    await bench.close();
  });

/** Before 6.3 it is found out by trying. */
const untold =
  !skip &&
  (await takesFrames(ifindex('lo'))) === undefined &&
  'this kernel does not say which drivers take XDP frames';

t.test(
  'no device takes XDP frames: templates stay with TC, until one does',
  { skip: skip || untold },
  async (t) => {
    const bench = await KernelBench.create('xdp');
    const gro = (state: string) => execFileSync('ethtool', ['-K', 'out1', 'gro', state]);
    const becomes = async (name: string, value: string) => {
      const by = Date.now() + 5000;
      while (bench.xdp.facts()[name] !== value && Date.now() < by) await sleep(10);
      t.equal(bench.xdp.facts()[name], value);
    };
    const waitsInXdpsQueue = () => {
      const global = shareMap(bench.state.maps.get('global')!, Global.SIZE);
      const ifindex = global.view.getUint32(Global.xdpIfindex, true);
      global.close();
      return ifindex !== 0;
    };
    const stream = bench.open();
    const all = Array.from({ length: VIEWERS }, (_, n) => bench.add(stream, n));
    t.equal(waitsInXdpsQueue(), true);
    t.equal(await send(bench), VIEWERS * PACKETS);
    gro('off');
    await becomes('devices that take no XDP frames', 'out0');
    t.equal(waitsInXdpsQueue(), false);
    t.equal(await send(bench), 0);
    gro('on');
    await becomes('devices served by XDP', 'out0');
    t.equal(waitsInXdpsQueue(), true);
    t.equal(await send(bench), VIEWERS * PACKETS);
    t.same(served(bench, all), new Set([3 * PACKETS]), 'nobody missed a packet');
    t.same(bench.drops(), {});
    await bench.close();
  },
);

function shape(...how: string[]): void {
  execFileSync('tc', ['qdisc', ...how]);
}

const TBF = ['tbf', 'rate', '1gbit', 'burst', '64k', 'limit', '1m'];

t.test('a device whose queue shapes is left to TC', { skip }, async (t) => {
  const bench = await KernelBench.create('xdp');
  const other = addOutlet(bench, true);
  shape('replace', 'dev', 'alt0', 'root', ...TBF);
  await bench.xdp.serve({ ifindex: other.ifindex, name: 'alt0' });
  const stream = bench.open();
  const all = Array.from({ length: VIEWERS }, (_, n) => bench.add(stream, n, other));
  t.equal(await send(bench), 0);
  t.same(served(bench, all), new Set([PACKETS]));
  t.match(bench.xdp.facts(), { 'devices left to TC for their queue': 'alt0' });
  ip('link', 'del', 'alt0');
  await bench.close();
});

t.test('a queue that comes to shape while XDP serves, and goes again', { skip }, async (t) => {
  const bench = await KernelBench.create('xdp');
  const stream = bench.open();
  const all = Array.from({ length: VIEWERS }, (_, n) => bench.add(stream, n));
  const becomes = async (fact: string, value: string) => {
    const by = Date.now() + 5000;
    while (bench.xdp.facts()[fact] !== value && Date.now() < by) await sleep(10);
    t.equal(bench.xdp.facts()[fact], value);
  };
  const all30 = VIEWERS * PACKETS;
  t.equal(await send(bench), all30);
  shape('add', 'dev', 'out0', 'root', 'handle', '1:', ...TBF);
  await becomes('devices left to TC for their queue', 'out0');
  t.equal(await send(bench), 0, 'left to TC, and what XDP has made stays counted');
  shape('add', 'dev', 'out0', 'parent', '1:1', 'pfifo', 'limit', '1000');
  await sleep(200);
  t.equal(await send(bench), 0);
  shape('del', 'dev', 'out0', 'root');
  await becomes('devices served by XDP', 'out0');
  t.equal(await send(bench), all30);
  t.same(served(bench, all), new Set([4 * PACKETS]), 'nobody missed a packet');
  t.equal(bench.xdp.facts()['copies made by XDP'], 2 * all30);
  t.same(bench.drops(), {});
  await bench.close();
});

t.test('a device that nobody told XDP of is served by TC', { skip }, async (t) => {
  const bench = await KernelBench.create('xdp');
  const other = addOutlet(bench, true);
  const stream = bench.open();
  const all = Array.from({ length: VIEWERS }, (_, n) => bench.add(stream, n, other));
  t.equal(await send(bench), 0);
  t.same(served(bench, all), new Set([PACKETS]));
  await bench.xdp.serve({ ifindex: other.ifindex, name: 'alt0' });
  t.equal(await send(bench), VIEWERS * PACKETS, 'and by XDP from then on');
  t.same(served(bench, all), new Set([2 * PACKETS]));
  ip('link', 'del', 'alt0');
  t.match(bench.xdp.facts(), { 'devices served by XDP': 'out0 alt0' });
  bench.ingress(udpFrame(rtp({ seq: 99 })));
  await bench.drained();
  t.same(bench.drops(), { 'egress-error': VIEWERS }, 'a device that is gone: the same drops as in TC');
  await bench.close();
});

/** What the driver counted of that kind, queue by queue. */
function queues(device: string, what: string): number[] {
  const shown = execFileSync('ethtool', ['-S', device], { encoding: 'utf8' });
  return cpus().map((_, n) => Number(new RegExp(`rx_queue_${n}_${what}: (\\d+)`).exec(shown)![1]));
}

function runOn(list: string): void {
  execFileSync('taskset', ['-p', '-c', list, `${process.pid}`]);
}

const noOther = cpus().length < 2 && 'there is one CPU only';

t.test(
  'viewers of two lanes are served on two CPUs, each always on the same; on one when there is no way to the other',
  { skip: skip || noOther },
  async (t) => {
    const bench = await KernelBench.create('xdp');
    const other = addOutlet(bench, true, cpus().length);
    await bench.xdp.serve({ ifindex: other.ifindex, name: 'alt0' });
    t.match(bench.xdp.facts(), { 'XDP serves a stream on': /^two CPUs/ });
    const stream = bench.open();
    const all = Array.from({ length: Limit.LANE_SLOTS + 88 }, (_, n) => bench.add(stream, n, other));
    const received = async () => {
      const before = queues('alt1', 'xdp_packets');
      runOn('1');
      await send(bench);
      return queues('alt1', 'xdp_packets').map((packets, n) => packets - before[n]!);
    };
    const spread = await received();
    t.equal(spread[1], PACKETS * Limit.LANE_SLOTS, 'those of the first lane, where the packets arrived');
    t.equal(Math.max(...spread.filter((_, n) => n !== 1)), PACKETS * 88, 'the others on one other CPU');
    bench.state.steerOver(0);
    t.equal((await received())[1], PACKETS * all.length, 'all where the packets arrived');
    t.same(served(bench, all), new Set([2 * PACKETS]));
    t.same(bench.drops(), {});
    runOn(`0-${cpus().length - 1}`);
    ip('link', 'del', 'alt0');
    await bench.close();
  },
);

t.test(
  'a stream of one lane is copied on the CPU that its packets arrive on',
  { skip: skip || noOther },
  async (t) => {
    const bench = await KernelBench.create('xdp');
    const [queue] = String(bench.xdp.facts()['XDP queue']).split('0,');
    /** Frames that came out of each queue and went on from there. */
    const turned = () => queues(`${queue}1`, 'xdp_redirect');
    let before = turned();
    for (const cpu of [1, 0]) {
      const port = LOCAL.rtpPort + 10 + 2 * cpu;
      const stream = bench.open({ rtp: port, rtcp: port + 1 });
      const all = Array.from({ length: VIEWERS }, (_, n) => bench.add(stream, n + VIEWERS * cpu));
      runOn(`${cpu}`);
      for (let seq = 0; seq < PACKETS; seq++) bench.ingress(udpFrame(rtp({ seq }), { port }));
      await bench.drained();
      t.same(served(bench, all), new Set([PACKETS]));
      const now = turned();
      t.ok(now[cpu]! - before[cpu]! >= (PACKETS * VIEWERS) / 64, `by CPU ${cpu}`);
      t.equal(now[1 - cpu], before[1 - cpu], 'not by the other');
      before = now;
    }
    runOn(`0-${cpus().length - 1}`);
    t.same(bench.drops(), {});
    await bench.close();
  },
);

t.test(
  'packets of a stream that arrive here and there are copied in one place',
  { skip: skip || noOther },
  async (t) => {
    const bench = await KernelBench.create('xdp');
    execFileSync('make', ['-s', '-C', 'tools/wire']);
    const stream = bench.openLocal(5004);
    bench.add(stream, 1);
    tcAttach(placeOn(ifindex('lo'), 1), bench.ingressFd);
    const streams = shareMap(bench.state.maps.get('streams')!, Limit.MAX_STREAMS * Stream.SIZE).view;
    const home = () => streams.getUint32(stream * Stream.SIZE + Stream.home, true);
    const traffic = [
      '--to',
      '127.0.0.1:5004',
      '--pps',
      '1000',
      '--bytes',
      '466',
      '--burst',
      '1',
      '--seconds',
      '1',
    ];
    const sources = await Promise.all(
      [0, 1].map((cpu) => Child.start('taskset', ['-c', `${cpu}`, 'build/wire/burst', ...traffic])),
    );
    let running = true;
    const ended = Promise.all(sources.map(({ exited }) => exited)).then(() => (running = false));
    const seen: number[] = [];
    while (running) {
      seen.push(home());
      await sleep(1);
    }
    await ended;
    await bench.drained();
    const changes = seen.filter((cpu, i) => i > 0 && cpu !== seen[i - 1]).length;
    t.ok(bench.state.stream(stream).packets > 1000);
    t.ok(changes < seen.length / 10, `${changes} changes in ${seen.length} looks`);
    tcDetach(placeOn(ifindex('lo'), 1));
    await bench.close();
  },
);

t.test('a sender report is copied by XDP, and passes up', { skip }, async (t) => {
  const bench = await KernelBench.create('xdp');
  const viewer = bench.add(bench.open(), 1);
  const report = udpFrame(senderReport(), { sourcePort: SOURCE.rtcpPort, port: LOCAL.rtcpPort });
  const { verdict, packet } = bench.ingress(report);
  t.equal(verdict, -1);
  t.ok(packet.equals(report));
  await bench.drained();
  t.equal(bench.state.viewer(viewer.slot).rtcpPackets, 1);
  t.equal(bench.xdp.facts()['copies made by XDP'], 1);
  await bench.close();
});

t.test(
  'the kernel no longer tells what drivers took: copies go on, no viewer stays locked',
  { skip },
  async (t) => {
    const bench = await KernelBench.create('xdp');
    const stream = bench.open();
    const all = Array.from({ length: VIEWERS }, (_, n) => bench.add(stream, n));
    closeSync(tracepoint());
    await send(bench);
    t.equal(bench.state.ticketsOut(), 0);
    t.same(served(bench, all), new Set([PACKETS]));
    t.ok(Number(bench.xdp.facts()['copies of unknown fate']) > 0, 'and is honest about it');
    for (const { remove } of all) remove(); // EBUSY if its slot were locked
    t.same(bench.drops(), {});
    await bench.close().catch(() => undefined); // it closes the descriptor that we closed
    ip('link', 'del', 'out0');
  },
);

t.test('what cannot be had is said', { skip }, async (t) => {
  const bench = await KernelBench.create('tc');
  const { state } = bench;
  const open = XdpStage.open({ port: 9, objects: 'no-such-folder', state, againFd: 0, filters: undefined! });
  await t.rejects(open, { name: 'KernelError', message: /no-such-folder/ });
  await bench.close();
});

/** This process's descriptor of the tracepoint. */
function tracepoint(): number {
  const found = readdirSync('/proc/self/fdinfo').find((fd) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').includes('xdp_devmap_xmit');
    } catch {
      return false; // closed meanwhile
    }
  });
  if (found === undefined) throw new Error('no tracepoint is attached');
  return Number(found);
}
