// SPDX-License-Identifier: Apache-2.0
// The namespaces that the other tests of this folder stand on: reachable, separate, gone afterwards.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import t from 'tap';
import { Child, run, tcpListening } from '../../tools/netns/child.js';
import { canNetns } from '../../tools/netns/probe.js';
import { type Namespace, createTopology } from '../../tools/netns/topology.js';
import { until } from '../../tools/netns/wait.js';

const skip = canNetns() ?? false;
const ours = () =>
  existsSync('/run/netns')
    ? readdirSync('/run/netns').filter((n) => n.startsWith(`rfo-${process.pid}-`))
    : [];
/** A zombie that nobody has waited for yet is not alive. */
const alive = (pid: number) =>
  existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

t.test('server and viewers reach the proxy, each on its own link', { skip }, async (t) => {
  const topology = await createTopology({ viewers: 2, addresses: 300, offloads: { tx: false } });
  try {
    const { server, proxy, viewers, upstream, downstream } = topology;
    const script = "require('net').createServer((s) => s.end(s.remoteAddress)).listen(8554, '0.0.0.0')";
    const listener = await proxy.spawn(process.execPath, ['-e', script]);
    await tcpListening(listener.pid, 8554);
    const from = (ns: Namespace, localAddress: string, host: string) =>
      ns.run(process.execPath, [
        '-e',
        `require('net').connect(${JSON.stringify({ host, port: 8554, localAddress })}).pipe(process.stdout)`,
      ]);
    t.equal(await from(server, upstream.server.address, upstream.proxy.address), upstream.server.address);
    for (const [i, viewer] of viewers.entries()) {
      const { addresses, proxy: ours } = downstream[i]!;
      t.equal(new Set(addresses).size, 300);
      t.equal(await from(viewer, addresses.at(-1)!, ours.address), addresses.at(-1));
    }
    const features = await proxy.run('ethtool', ['-k', 'down0']);
    t.match(features, /generic-receive-offload: on/);
    t.match(features, /tx-checksumming: off/);
  } finally {
    await topology.close();
  }
  t.strictSame(ours(), [], 'nothing is left, not even where a program still ran');
});

t.test('a failed test leaves nothing either', { skip }, async (t) => {
  const script = `
    const { createTopology } = await import('${new URL('../../tools/netns/topology.js', import.meta.url).href}');
    const { viewers } = await createTopology();
    const sleeper = await viewers[0].spawn('sleep', ['1000']);
    console.log(viewers[0].name, sleeper.pid);
    setInterval(() => {}, 1000);`;
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const child = await Child.start(process.execPath, ['--input-type=module', '-e', script]);
    const [, name, sleeper] = await child.output(/^(rfo-\S+) (\d+)$/m);
    t.ok(existsSync(`/run/netns/${name}`));
    await child.stop(signal);
    // Nobody can clean up after SIGKILL; the next topology sweeps what dead processes left.
    if (signal === 'SIGKILL') await (await createTopology()).close();
    t.notOk(existsSync(`/run/netns/${name}`), signal);
    await until('the end of its child', () => !alive(Number(sleeper)));
  }
});

t.test('waiting tells what did not come', async (t) => {
  await t.rejects(
    until(
      'godot',
      () => false,
      50,
      () => 'tree, evening',
    ),
    /waited 50 ms for godot\ntree, evening/,
  );
  await t.rejects(run('sh', ['-c', 'echo reason >&2; exit 3']), /ended with 3[^]*reason/);
  const child = await Child.start('sh', ['-c', 'echo one']);
  await t.rejects(child.output(/two/), /ended without[^]*one/);
});
