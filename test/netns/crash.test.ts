// SPDX-License-Identifier: Apache-2.0
// Whoever is killed, nothing of it stays: a viewer, the server, the proxy itself.
import t from 'tap';
import { canNetns, canRun } from '../../tools/netns/probe.js';
import { type Namespace, type Topology, createTopology } from '../../tools/netns/topology.js';
import { until, within } from '../../tools/netns/wait.js';
import { GstServer, canServe } from './gst-server.js';
import { difference, ffmpeg, frameHashes, makeClip } from './players.js';
import { Product, temporaryFolder } from './product.js';

// The runner's limit for a file is the one that counts, not tap's 30 s.
t.setTimeout(280_000);

const skip = canRun('ffmpeg', ['-version']) ?? canServe() ?? canNetns() ?? false;
const folder = temporaryFolder();
const clip = skip ? '' : await makeClip(folder, 60);

/** What the kernel of the proxy's namespace holds of us: private devices and attached programs. */
async function kernelTraces({ proxy }: Topology): Promise<string[]> {
  const links = JSON.parse(await proxy.run('ip', ['-json', 'link', 'show'])) as { ifname: string }[];
  const names = links.map((link) => link.ifname);
  const traces = names.filter((name) => name.startsWith('rfo'));
  for (const name of names) {
    const filters = await proxy.run('tc', ['filter', 'show', 'dev', name, 'ingress']);
    if (filters.includes('bpf')) traces.push(`${name} carries a program`);
  }
  return traces;
}

const leftovers = async (proxy: Namespace) =>
  JSON.parse(await proxy.run('bin/proxyctl', ['leftovers', '--json'])) as {
    pid: number;
    devices: string[];
    streams: number;
    viewers: string[];
  }[];

/** A viewer that has begun to show the stream. */
async function viewer(where: Namespace, url: string) {
  const player = await ffmpeg(where, url);
  await player.child.output(/^0,/m, 15_000);
  return player;
}

t.test('kill -9 of viewers and of the server', { skip }, async (t) => {
  const topology = await createTopology({ viewers: 2 });
  try {
    const { server, proxy, viewers, upstream, downstream } = topology;
    const serve = { file: clip, address: upstream.server.address, namespace: server };
    let origin = await GstServer.start(serve);
    const product = await Product.start({ engine: 'tc', source: origin.url, namespace: proxy });
    const url = (i: number) => product.url(downstream[i]!.proxy.address, '/clip');

    const first = await viewer(viewers[0]!, url(0));
    const second = await viewer(viewers[1]!, url(1));
    t.equal((await product.clients()).length, 2);
    await first.child.stop('SIGKILL');
    const [left] = await until('one viewer to be left', async () => {
      const clients = await product.clients();
      return clients.length === 1 && clients;
    });
    t.equal(left!.address, downstream[1]!.viewer.address);
    const before = left!.tracks[0]!.packets;
    await until('it to get more', async () => (await product.clients())[0]!.tracks[0]!.packets > before + 20);
    t.equal(origin.events('new-session').length, 1, 'the other one plays on, from the same session');

    await second.child.stop('SIGKILL');
    await product.idle();
    await origin.sessionsEnded();
    t.equal(origin.events('teardown').length, 1, 'the last one gone, the source is told');

    const third = await viewer(viewers[0]!, url(0));
    await origin.child.stop('SIGKILL');
    const status = await product.idle();
    t.equal(status.facts['kernel streams'], 0);
    await within('the viewer to be told', third.child.exited, 10_000);

    const port = Number(/:(\d+)$/.exec(origin.url)![1]);
    origin = await GstServer.start({ ...serve, port });
    const fourth = await ffmpeg(viewers[0]!, url(0), 50);
    const source = await frameHashes(clip);
    t.equal(difference(await fourth.frames(), source, 25), undefined, 'the next viewer starts afresh');
    await product.idle();
    await product.stop();
    t.strictSame(await kernelTraces(topology), []);
  } finally {
    await topology.close();
  }
});

t.test(
  'kill -9 of the proxy: what stays is listed, the next start leaves nothing of it',
  { skip },
  async (t) => {
    const topology = await createTopology();
    try {
      const { server, proxy, viewers, upstream, downstream } = topology;
      const origin = await GstServer.start({
        file: clip,
        address: upstream.server.address,
        namespace: server,
      });
      const options = { engine: 'tc', source: origin.url, namespace: proxy } as const;
      const product = await Product.start(options);
      t.strictSame(await leftovers(proxy), [], 'a living proxy is no leftover');
      const player = await viewer(viewers[0]!, product.url(downstream[0]!.proxy.address, '/clip'));
      await product.child.stop('SIGKILL');
      const [left, ...more] = await leftovers(proxy);
      t.equal(more.length, 0);
      t.match(left, { pid: product.child.pid, streams: 1 });
      t.ok(left!.devices.includes('up0'), 'the device with our program');
      t.equal(left!.viewers.length, 1);
      t.match(left!.viewers[0], downstream[0]!.viewer.address, 'and who still gets copies');
      await player.child.stop('SIGKILL');

      const next = await Product.start(options);
      t.strictSame(await leftovers(proxy), []);
      t.match(await next.status(), {
        viewers: 0,
        streams: 0,
        facts: { 'kernel streams': 0, 'tickets out': 0 },
      });
      t.notOk((await kernelTraces(topology)).includes('up0 carries a program'), 'the old program is gone');
      await next.stop();
      t.strictSame(await kernelTraces(topology), [], 'nothing at all is left');
    } finally {
      await topology.close();
    }
  },
);
