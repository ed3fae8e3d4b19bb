// SPDX-License-Identifier: Apache-2.0
// Multicast with real players and a real server: viewers behind one device share one copy on the wire, those behind
// another have their own; a source that offers nothing but multicast is joined, and left.
import t, { type Test } from 'tap';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { canNetns, canRun } from '../../tools/netns/probe.js';
import { createTopology, type Namespace, type Topology } from '../../tools/netns/topology.js';
import { until } from '../../tools/netns/wait.js';
import { readCapture, type UdpPacket } from '../../tools/wire/pcap.js';
import { GstServer, canServe } from './gst-server.js';
import { type Player, difference, ffmpeg, frameHashes, gstreamer, makeClip } from './players.js';
import { type Engine, Product, temporaryFolder } from './product.js';

t.setTimeout(280_000);

const FRAMES = 75;
const TTL = 3;
const NETWORK = '239.192.0.0/28';
const peers = canRun('ffmpeg', ['-version']) ?? canRun('gst-launch-1.0', ['--version']) ?? canServe();
const skip = peers ?? canRun('tcpdump', ['--version']) ?? canNetns() ?? false;

let clip: Promise<{ file: string; hashes: string[] }> | undefined;
function theClip() {
  clip ??= makeClip(temporaryFolder(), 12).then(async (file) => ({ file, hashes: await frameHashes(file) }));
  return clip;
}

/** What comes to a viewer's device for multicast groups, until the returned function is called. */
async function capture(where: Namespace): Promise<() => Promise<readonly UdpPacket[]>> {
  const file = join(temporaryFolder(), 'multicast.pcap');
  const filter = 'udp and dst net 239.0.0.0/8';
  const child = await where.spawn('tcpdump', ['-i', 'eth0', '-Q', 'in', '-w', file, '-U', '-s', '0', filter]);
  await until(
    'tcpdump to listen',
    () => child.stderr.includes('listening on'),
    5000,
    () => child.describe(),
  );
  return async () => {
    await child.stop('SIGINT');
    return readCapture(readFileSync(file)).udp;
  };
}

/** RTP has an even port of ours, each with the RTCP port above it. */
function isOneCopy(t: Test, what: string, packets: readonly UdpPacket[]): string[] {
  const rtp = packets.filter(({ destinationPort }) => destinationPort % 2 === 0);
  const names = rtp.map(({ destination, payload }) => `${destination} ${payload.readUInt16BE(2)}`);
  t.ok(names.length > FRAMES, `${what}: ${names.length} RTP packets`);
  t.equal(new Set(names).size, names.length, `${what}: each of them once`);
  t.same([...new Set(packets.map(({ ttl }) => ttl))], [TTL], `${what}: lifetime`);
  t.ok(
    packets.every(({ checksum, header }) => checksum === 'right' && header === 'right'),
    `${what}: checksums`,
  );
  for (const { destination, destinationMac } of packets) {
    const [, b = 0, c = 0, d = 0] = destination.split('.').map(Number);
    if (destinationMac !== Buffer.from([1, 0, 0x5e, b & 127, c, d]).toString('hex')) t.fail(destinationMac);
  }
  return [...new Set(rtp.map(({ destination }) => destination))];
}

async function allSee(t: Test, players: Record<string, Player>): Promise<void> {
  const { hashes } = await theClip();
  for (const [name, player] of Object.entries(players)) {
    const frames = await player.frames().catch((error: Error) => error);
    if (frames instanceof Error) t.fail(`${name}: ${frames.message}`);
    else t.equal(difference(frames, hashes, FRAMES - 30), undefined, `${name} shows the source's frames`);
  }
}

const groupsOf = async ({ proxy }: Topology, device: string): Promise<string[]> =>
  (await proxy.run('ip', ['-4', 'maddr', 'show', 'dev', device])).match(/239\.[\d.]+/g) ?? [];

async function setUp(engine: Engine, options: { multicast?: string; more?: readonly string[] }) {
  const { file } = await theClip();
  // Checksums are to be those of the packets, not left to a device that only pretends to compute them.
  const topology = await createTopology({ viewers: 2, offloads: { tx: false } });
  const { server, proxy, upstream, downstream } = topology;
  await server.run('ip', ['route', 'add', '239.0.0.0/8', 'dev', 'eth0']);
  const { multicast, more } = options;
  const from = { file, address: upstream.server.address, namespace: server };
  const origin = await GstServer.start({ ...from, ...(multicast !== undefined && { multicast }) });
  const product = await Product.start({
    engine,
    source: origin.url,
    namespace: proxy,
    ...(more && { more }),
  });
  const url = (i: number) => product.url(downstream[i]!.proxy.address, '/clip');
  return { topology, origin, product, url };
}

async function nothingIsLeft(
  t: Test,
  topology: Topology,
  origin: GstServer,
  product: Product,
): Promise<void> {
  await product.idle();
  await origin.sessionsEnded();
  t.equal(origin.events('play').length, 1, 'one PLAY upstream');
  for (const device of ['up0', 'down0', 'down1'])
    t.same(await groupsOf(topology, device), [], `${device}: no group`);
  await product.stop();
}

for (const engine of ['tc', 'userspace'] as const) {
  t.test(`to viewers: ${engine}`, { skip }, async (t) => {
    const more = ['--multicast', NETWORK, '--multicast-ttl', String(TTL)];
    const { topology, origin, product, url } = await setUp(engine, { more });
    try {
      const [east, west] = topology.viewers as [Namespace, Namespace];
      const captures = await Promise.all([east, west].map(capture));
      const watching = product.clients;
      const players = {
        'ffmpeg in the east': await ffmpeg(east, url(0), FRAMES, 'multicast'),
        'GStreamer in the east': await gstreamer(east, url(0), FRAMES, 'multicast'),
        'ffmpeg in the west': await ffmpeg(west, url(1), FRAMES, 'multicast'),
        'ffmpeg by unicast': await ffmpeg(west, url(1), FRAMES),
      };
      await until('four to play', async () => {
        const rows = await watching();
        return rows.length === 4 && rows.every(({ state }) => state === 'playing');
      });
      const groups = (await watching()).map(({ tracks }) => tracks[0]!.group);
      t.equal(groups.filter((group) => group === null).length, 1);
      t.equal(new Set(groups).size, 3, 'a group for each device, and one viewer without');
      await allSee(t, players);
      const [inEast, inWest] = await Promise.all(captures.map((stop) => stop()));
      const seen = [isOneCopy(t, 'east', inEast!), isOneCopy(t, 'west', inWest!)];
      t.same(
        seen.map(({ length }) => length),
        [1, 1],
        'one group on each link',
      );
      t.same(seen.flat().sort(), [...new Set(groups)].filter((group) => group !== null).sort());
      if (!t.passing()) t.comment(product.child.describe(), origin.child.describe());
      await nothingIsLeft(t, topology, origin, product);
    } finally {
      await topology.close();
    }
  });

  t.test(`from the source: ${engine}`, { skip }, async (t) => {
    const more = ['--multicast', NETWORK, '--multicast-interface', 'down1'];
    const { topology, origin, product, url } = await setUp(engine, {
      multicast: '239.9.0.1-239.9.0.8',
      more,
    });
    try {
      const [east, west] = topology.viewers as [Namespace, Namespace];
      const players = {
        'ffmpeg by unicast': await ffmpeg(east, url(0), FRAMES),
        'GStreamer by unicast': await gstreamer(west, url(1), FRAMES),
        'ffmpeg by multicast': await ffmpeg(west, url(1), FRAMES, 'multicast'),
      };
      await until('three to play', async () => {
        const rows = await product.clients();
        return rows.length === 3 && rows.every(({ state }) => state === 'playing');
      });
      t.match(
        await groupsOf(topology, 'up0'),
        [/^239\.9\.0\.\d$/],
        'the group is joined where the source is',
      );
      const { engine: used, drops } = await product.status();
      t.equal(used, engine);
      t.equal(drops['not-source'], 0);
      const served = (await product.clients()).map(({ tracks }) => tracks[0]!.servedBy);
      t.same([...new Set(served)], [engine === 'tc' ? 'kernel' : 'userspace']);
      await allSee(t, players);
      if (!t.passing()) t.comment(product.child.describe(), origin.child.describe());
      await nothingIsLeft(t, topology, origin, product);
    } finally {
      await topology.close();
    }
  });
}
