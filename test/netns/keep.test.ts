// SPDX-License-Identifier: Apache-2.0
// The control plane dies, or makes way for another version, under playing viewers: they notice nothing.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { canNetns, canRun } from '../../tools/netns/probe.js';
import { createTopology, type Topology } from '../../tools/netns/topology.js';
import { until } from '../../tools/netns/wait.js';
import { GstServer, canServe } from './gst-server.js';
import { difference, ffmpeg, frameHashes, gstreamer, makeClip, type Player } from './players.js';
import { Product, type Engine, temporaryFolder } from './product.js';

// The runner's limit for a file is the one that counts, not tap's 30 s.
t.setTimeout(280_000);

const skip =
  canRun('ffmpeg', ['-version']) ??
  canRun('gst-launch-1.0', ['--version']) ??
  canServe() ??
  canNetns() ??
  false;
const clip = skip ? '' : await makeClip(temporaryFolder(), 60);
const source = skip ? [] : await frameHashes(clip);
const FRAMES = 450; // longer than it takes to die twice, on a busy machine
const FRAMES_ONCE = 250;

/** The proxy that this keeper has started. */
function proxyOf(keeper: number): number {
  const children = readFileSync(`/proc/${keeper}/task/${keeper}/children`, 'utf8').trim().split(' ');
  return Number(children[0] || 0);
}

async function another(keeper: number, than: number): Promise<number> {
  return until('another process', async () => {
    const now = proxyOf(keeper);
    return now !== 0 && now !== than && now;
  });
}

/** epoll_wait and epoll_pwait. */
const WAITING: Partial<Record<string, readonly string[]>> = { x64: ['232', '281'], arm64: ['22'] };

/**
 * Kills it. The user-space engine has lost the packet that it was just copying, which is no fault of what is tested here:
 * it is killed while it waits for the next. The kernel engines' may die at any moment.
 */
async function kill(pid: number, engine: Engine): Promise<void> {
  const dead = await until('it to wait', async () => {
    if (engine === 'userspace') {
      process.kill(pid, 'SIGSTOP');
      await until('it to stop', () => / T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')));
      const [call] = readFileSync(`/proc/${pid}/syscall`, 'utf8').split(' ');
      if (!WAITING[process.arch]!.includes(call!)) return process.kill(pid, 'SIGCONT') && false;
    }
    return process.kill(pid, 'SIGKILL');
  });
  if (!dead) throw new Error(`process ${pid} is not there`);
}

/** A start that takes its time: what waits meanwhile is more than a player's socket can take at once. */
async function stopped(pid: number, ms: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await delay(ms);
  process.kill(pid, 'SIGCONT');
}

interface World {
  readonly topology: Topology;
  readonly origin: GstServer;
  readonly product: Product;
  readonly url: (viewer: number) => string;
}

async function world(engine: Engine, options: readonly string[], run: (world: World) => Promise<void>) {
  const topology = await createTopology({ viewers: 3 });
  try {
    const { server, proxy, upstream, downstream } = topology;
    const origin = await GstServer.start({ file: clip, address: upstream.server.address, namespace: server });
    const product = await Product.start({ engine, source: origin.url, namespace: proxy, more: options });
    const url = (i: number) => product.url(downstream[i]!.proxy.address, '/clip');
    await run({ topology, origin, product, url });
  } finally {
    await topology.close();
  }
}

async function threePlayers({ topology, url }: World, frames = FRAMES): Promise<Player[]> {
  const [first, second, third] = topology.viewers;
  const players = [
    await ffmpeg(first, url(0), frames),
    await ffmpeg(second, url(1), frames),
    await gstreamer(third, url(2), frames),
  ];
  await players[0]!.child.output(/^0,/m, 15_000);
  return players;
}

const playing = async (product: Product) => {
  const clients = await product.clients();
  const all = clients.length === 3 && clients.every(({ state }) => state === 'playing');
  return all ? clients : (false as const);
};
const identity = (clients: { id: number; address: string; port: number; session: string }[]) =>
  clients.map(({ id, address, port, session }) => ({ id, address, port, session }));

for (const engine of ['tc', 'xdp', 'userspace'] as const)
  t.test(`kill -9 of the control plane under three players, ${engine}`, { skip }, async (t) => {
    await world(engine, ['--keep'], async (world) => {
      const { product, origin } = world;
      const players = await threePlayers(world);
      const before = await until('three to play', () => playing(product));
      const victim = proxyOf(product.child.pid);
      await kill(victim, engine);
      const killed = performance.now();
      const next = await another(product.child.pid, victim);
      const after = await until(
        'them to be back',
        () => playing(product).catch(() => false as const),
        15_000,
      );
      const back = performance.now() - killed;
      t.comment(`back after ${Math.round(back)} ms`);
      t.same(identity(after), identity(before), 'the same viewers');
      if (engine !== 'userspace')
        t.ok(after[0]!.tracks[0]!.packets >= before[0]!.tracks[0]!.packets, 'with their counters');
      await delay(1500); // what had waited is sent within a second, and gone if this one dies meanwhile
      await kill(next, engine);
      await stopped(await another(product.child.pid, next), 1000);
      await until('them to be back again', () => playing(product).catch(() => false as const), 15_000);

      for (const [i, player] of players.entries())
        t.equal(difference(await player.frames(), source, FRAMES - 25), undefined, `player ${i + 1}`);
      t.equal(origin.events('new-session').length, 1, 'one session upstream, the first one');
      await product.idle();
      await origin.sessionsEnded();
      t.equal(origin.events('teardown').length, 1, 'and it is ended by TEARDOWN');
      const newcomer = await ffmpeg(world.topology.viewers[0]!, world.url(0), 30);
      t.equal(difference(await newcomer.frames(), source, 5), undefined, 'a newcomer is served');
      await product.stop();
    });
  });

t.test('SIGUSR2: another process goes on; without a keeper it is refused', { skip }, async (t) => {
  await world('tc', ['--keep'], async (world) => {
    const { product, origin } = world;
    const players = await threePlayers(world, FRAMES_ONCE);
    const before = await until('three to play', () => playing(product));
    const former = proxyOf(product.child.pid);
    product.child.signal('SIGUSR2');
    await another(product.child.pid, former);
    const after = await until('them to be back', () => playing(product).catch(() => false as const), 15_000);
    t.same(identity(after), identity(before));
    for (const player of players)
      t.equal(difference(await player.frames(), source, FRAMES_ONCE - 25), undefined);
    t.equal(origin.events('new-session').length, 1);
    await product.idle();
    await product.stop();
  });
  await world('tc', [], async ({ product, topology, url }) => {
    const player = await ffmpeg(topology.viewers[0]!, url(0), 60);
    await player.child.output(/^0,/m, 15_000);
    product.child.signal('SIGUSR2');
    await product.child.output(/refused: this version goes on/, 10_000);
    t.equal(difference(await player.frames(), source, 30), undefined);
    await product.stop();
  });
});
