// SPDX-License-Identifier: Apache-2.0
// What `make run` starts, as root with the kernel engine and as nobody without: the URL that it prints plays on this very
// host, and ending it ends everything. In a network namespace and with a /run of its own where we are root.
import { resolve } from 'node:path';
import t, { type Test } from 'tap';
import type { ClientRow } from '../../src/control/api/types.js';
import { run } from '../../tools/netns/child.js';
import { canNetns, canRun } from '../../tools/netns/probe.js';
import { createTopology } from '../../tools/netns/topology.js';
import { until } from '../../tools/netns/wait.js';
import { type Player, ffmpeg } from './players.js';
import { compiled, startIn, temporaryFolder, unprivileged } from './product.js';

// The runner's limit for a file is the one that counts, not tap's 30 s.
t.setTimeout(120_000);

const FRAMES = 50;
const peers = canRun('ffmpeg', ['-version']);
const PRIVATE_RUN = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /run && exec "$@"', 'sh'];

/** Local viewers, too: none of them may have been left to the process. Asked beside it, in its /run. */
async function servedByKernel(t: Test, pid: number): Promise<void> {
  const clients = await until('both viewers to play', async () => {
    const beside = [
      '--target',
      String(pid),
      '--mount',
      '--net',
      resolve('bin/proxyctl'),
      'clients',
      '--json',
    ];
    const rows = JSON.parse(await run('nsenter', beside)) as ClientRow[];
    return rows.length === 2 && rows.every(({ state }) => state === 'playing') && rows;
  });
  t.strictSame(
    clients.map(({ tracks }) => tracks.map((track) => track.servedBy)),
    [['kernel'], ['kernel']],
  );
}

async function playsHere(
  t: Test,
  prefix: readonly string[],
  engines: readonly string[],
  why: RegExp,
): Promise<void> {
  const topology = canNetns() ? undefined : await createTopology();
  const where = topology?.proxy;
  const env = ['env', `XDG_RUNTIME_DIR=${temporaryFolder()}`, 'URL=', 'LISTEN='];
  const [command, ...args] = [...prefix, ...env, process.execPath, compiled('tools/run/main.js')];
  const make = await startIn(where, command!, args);
  try {
    const [, url] = await make.output(/open +(rtsp:\/\/\S+)/, 20_000);
    const [, chosen, because] = await make.output(/datapath +(\S+) \((.*)\)/);
    t.ok(engines.includes(chosen!), `${chosen}: one of ${engines.join(', ')}`);
    t.match(because, why);
    await make.output(/viewers +\S*proxyctl/);
    const players: Player[] = await Promise.all([ffmpeg(where, url!, FRAMES), ffmpeg(where, url!, FRAMES)]);
    if (chosen !== 'userspace') await servedByKernel(t, make.pid);
    for (const player of players) {
      const frames = await player.frames();
      t.equal(frames.length, FRAMES);
      t.ok(new Set(frames).size > FRAMES / 2, 'a picture that moves');
      t.equal(player.child.stderr, '', 'and nothing that ffmpeg complains of');
    }
    const exit = await make.stop('SIGTERM', 10_000);
    t.equal(exit.code, 0, make.describe());
  } finally {
    await make.stop('SIGKILL');
    await topology?.close();
  }
}

t.test(
  'as root, viewers on this host through the kernel',
  { skip: peers ?? canNetns() ?? false },
  async (t) => {
    await playsHere(t, PRIVATE_RUN, ['xdp', 'tc'], /./);
  },
);

t.test('without privileges, through user space, and it says so', { skip: peers ?? false }, async (t) => {
  await playsHere(t, unprivileged(), ['userspace'], /no kernel engine: .*not root/);
});
