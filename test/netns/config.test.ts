// SPDX-License-Identifier: Apache-2.0
// Several servers behind one proxy, by a file of paths: real players on names and patterns, and reloads under them.
import t from 'tap';
import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { canRun } from '../../tools/netns/probe.js';
import { until, within } from '../../tools/netns/wait.js';
import { GstServer, canServe } from './gst-server.js';
import { difference, ffmpeg, frameHashes, makeClip } from './players.js';
import { Product, freePort, temporaryFolder } from './product.js';

// The runner's limit for a file is the one that counts, not tap's 30 s.
t.setTimeout(120_000);

const skip = canRun('ffmpeg', ['-version']) ?? canServe() ?? false;
const FRAMES = 250;

t.test('two servers, a pattern, and reloads that leave the others alone', { skip }, async (t) => {
  const folder = temporaryFolder();
  const clip = await makeClip(folder, 30);
  const hashes = await frameHashes(clip);
  const host = '127.0.0.1';
  const [one, two] = await Promise.all([0, 1].map(() => GstServer.start({ file: clip, address: host })));
  const file = join(folder, 'paths.yaml');
  /** Its time stays the same: only who is asked to reads it again. */
  const write = (text: string, at = 1_000_000_000) => {
    writeFileSync(file, text);
    utimesSync(file, at, at);
  };
  const lobby = `paths:\n  lobby: { source: "${one!.url}/clip" }\n`;
  write(`${lobby}  two/*: { source: "${two!.url}/$1" }\n`);
  const port = await freePort();
  const product = await Product.start({ engine: 'userspace', host, port, more: ['--config', file] });
  const logged = (what: RegExp) =>
    until(
      `${what} in the log`,
      () => what.test(product.child.stderr),
      5000,
      () => product.child.describe(),
    );
  const playing = (paths: string[]) =>
    until(`viewers of ${paths.join(', ')}`, async () => {
      const clients = (await product.clients()).filter(({ state }) => state === 'playing');
      return clients.map(({ stream }) => stream).sort().join() === paths.join();
    }, 15_000, () => product.child.describe()); // prettier-ignore
  try {
    const stays = await ffmpeg(undefined, product.url(host, '/lobby'), FRAMES);
    const goes = await ffmpeg(undefined, product.url(host, '/two/clip'));
    await playing(['/lobby', '/two/clip']);
    t.equal(one!.events('play').length, 1, 'one plays');
    t.equal(two!.events('play').length, 1, 'two plays');

    t.same(
      (await product.paths()).map(({ name, viewers }) => [name, viewers]),
      [
        ['lobby', 1],
        ['two/*', 1],
      ],
    );

    write(`${lobby}  other: { source: "${two!.url}/clip" }\n`);
    product.child.signal('SIGHUP');
    await within('the end of the viewer of a path that is gone', goes.child.exited, 5000);
    await playing(['/lobby']);
    await until('the end of its session at the server', () => two!.events('teardown').length === 1);
    const comes = await ffmpeg(undefined, product.url(host, '/other'), 30);
    t.equal(difference(await comes.frames(), hashes, 10), undefined, 'the new path shows the source');

    write(`${lobby}  other: { sauce: x }\n`, 1_000_000_001);
    await logged(/paths\.yaml:3: path other: its source is missing/);
    await logged(/paths\.yaml:3: sauce is not known here/);
    write(lobby, 1_000_000_002);
    await logged(/paths have changed.*removed=\["other"\]/);
    t.equal(difference(await stays.frames(), hashes, FRAMES - 30), undefined, 'the other played on');
    t.equal(one!.events('play').length, 1, 'from one session');
    const gone = await ffmpeg(undefined, product.url(host, '/other'), 1);
    await t.rejects(gone.frames(), /404/);
    await product.idle();
    await product.stop();
  } finally {
    await Promise.all([product.child, one!.child, two!.child].map((child) => child.stop('SIGKILL')));
  }
});

t.test(
  'under a keeper SIGHUP reads the file again as well, and a wrong file is refused at once',
  async (t) => {
    const file = join(temporaryFolder(), 'paths.yaml');
    const write = (name: string) => {
      writeFileSync(file, `paths:\n  ${name}: { source: "rtsp://127.0.0.1:1/x" }\n`);
      utimesSync(file, 1_000_000_000, 1_000_000_000);
    };
    write('one');
    const port = await freePort();
    const more = ['--config', file, '--keep'];
    const product = await Product.start({ engine: 'userspace', host: '127.0.0.1', port, more });
    try {
      write('two');
      product.child.signal('SIGHUP');
      await until('the new path', async () => (await product.paths())[0]?.name === 'two');
      await product.stop();
    } finally {
      await product.child.stop('SIGKILL');
    }
    write('/three');
    await t.rejects(
      Product.start({ engine: 'userspace', port, more }),
      /paths\.yaml:2: path \/three: a name neither/,
    );
  },
);

t.test('SIGUSR2 with a file at fault is refused, for no other process could begin with it', async (t) => {
  const file = join(temporaryFolder(), 'paths.yaml');
  writeFileSync(file, 'paths:\n  one: { source: "rtsp://127.0.0.1:1/x" }\n');
  const more = ['--config', file, '--keep'];
  const product = await Product.start({
    engine: 'userspace',
    host: '127.0.0.1',
    port: await freePort(),
    more,
  });
  const { pid } = product.child;
  const proxy = () => Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0]);
  try {
    const former = proxy();
    writeFileSync(file, 'paths:\n  one: {}\n');
    product.child.signal('SIGUSR2');
    const [line] = await product.child.output(/refused: this version goes on.*/, 15_000);
    t.match(line, /the installed version would not start: \S+paths\.yaml:2: path one: its source is missing/);
    t.equal((await product.paths())[0]!.name, 'one', 'and it does go on');
    t.equal(proxy(), former);
    writeFileSync(file, 'paths:\n  two: { source: "rtsp://127.0.0.1:1/x" }\n');
    product.child.signal('SIGUSR2');
    await until('another process', () => ![0, former].includes(proxy()), 15_000);
    const named = async () => (await product.paths())[0]?.name === 'two';
    await until('it to serve', () => named().catch(() => false), 15_000);
    await product.stop();
  } finally {
    await product.child.stop('SIGKILL');
  }
});
