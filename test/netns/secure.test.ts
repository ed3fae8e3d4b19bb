// SPDX-License-Identifier: Apache-2.0
// Viewers who must say who they are, and what their RTSP comes over: plain, an HTTP tunnel, TLS; real players, right and
// wrong passwords. And a proxy whose source is another one's rtsps://, which it must not believe blindly.
import t from 'tap';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { canRun } from '../../tools/netns/probe.js';
import { until } from '../../tools/netns/wait.js';
import { Authority } from '../fixtures/tls.js';
import { GstServer, canServe } from './gst-server.js';
import { difference, ffmpeg, frameHashes, gstreamer, makeClip, type Delivery } from './players.js';
import { Product, freePort, temporaryFolder } from './product.js';

t.setTimeout(280_000);

const FRAMES = 50;
const RIGHT = 'alice:secret@';
const peers =
  canRun('ffmpeg', ['-version']) ??
  canRun('gst-launch-1.0', ['--version']) ??
  canRun('openssl', ['version']) ??
  canServe();

async function start() {
  const folder = temporaryFolder();
  const file = await makeClip(folder, 10);
  const origin = await GstServer.start({ file, address: '127.0.0.1' });
  const authority = new Authority(folder);
  const { certificate, key } = authority.issue('IP:127.0.0.1,DNS:localhost');
  const config = join(folder, 'paths.yaml');
  const users = '[{ name: alice, password: "secret" }]';
  writeFileSync(config, `paths:\n  clip:\n    source: ${origin.url}/clip\n    readUsers: ${users}\n`);
  const tlsPort = await freePort();
  const product = await Product.start({
    ...{ engine: 'userspace', host: '127.0.0.1', port: await freePort() },
    more: [
      ...['--config', config, '--tls-listen', `127.0.0.1:${tlsPort}`],
      ...['--tls-certificate', certificate, '--tls-key', key],
    ],
  });
  return { hashes: await frameHashes(file), origin, authority, product, tlsPort };
}

t.test('right and wrong passwords, over every transport', { skip: peers ?? false }, async (t) => {
  const { hashes, origin, authority, product, tlsPort } = await start();
  const { port } = product;
  const urlFor = (delivery: Delivery, who: string, isGst: boolean) => {
    if (delivery === 'secure') return `rtsps://${who}localhost:${tlsPort}/clip`;
    return `${delivery === 'tunnel' && isGst ? 'rtsph' : 'rtsp'}://${who}127.0.0.1:${port}/clip`;
  };
  try {
    for (const delivery of ['unicast', 'interleaved', 'tunnel', 'secure'] as const) {
      const players = await Promise.all([
        ffmpeg(undefined, urlFor(delivery, RIGHT, false), FRAMES, delivery),
        gstreamer(undefined, urlFor(delivery, RIGHT, true), FRAMES, delivery),
      ]);
      for (const [i, player] of players.entries())
        t.equal(
          difference(await player.frames(), hashes, FRAMES - 30),
          undefined,
          `${delivery} ${i ? 'GStreamer' : 'ffmpeg'}`,
        );
    }
    const before = (await product.status()).refused['authentication-wrong'] ?? 0;
    t.equal(before, 0, 'no player had to guess');
    for (const delivery of ['unicast', 'secure'] as const)
      for (const who of ['alice:wrong@', 'bob:secret@', '']) {
        const player = await ffmpeg(undefined, urlFor(delivery, who, false), FRAMES, delivery);
        await t.rejects(player.frames(), /401 Unauthorized/, `ffmpeg, ${delivery}, "${who}"`);
      }
    const gst = await gstreamer(undefined, urlFor('unicast', 'alice:wrong@', true), FRAMES);
    await t.rejects(gst.frames(), /Unauthorized \(401\)/, 'GStreamer');
    const { refused } = await product.status();
    t.ok(refused['authentication-wrong']! >= 5, 'they are counted');
    await product.idle();

    const at = `rtsps://${RIGHT}localhost:${tlsPort}/clip`;
    for (const [more, works] of [
      [['--source-ca', authority.certificate], true],
      [[], false],
    ] as const) {
      const next = await Product.start({
        ...{ engine: 'userspace', host: '127.0.0.1', port: await freePort(), source: at, more },
      });
      try {
        const player = await ffmpeg(undefined, next.url('127.0.0.1', '/clip'), FRAMES);
        if (works) {
          t.equal(
            difference(await player.frames(), hashes, FRAMES - 30),
            undefined,
            'two proxies, TLS between them',
          );
        } else {
          await t.rejects(player.frames(), /502 Bad Gateway/);
          await until(
            'the reason to be told',
            () => /certificate/.test(next.child.stderr),
            5000,
            () => next.child.describe(),
          );
        }
        await next.stop();
      } finally {
        await next.child.stop('SIGKILL');
      }
    }
    await product.idle();
    await product.stop();
  } finally {
    if (!t.passing()) t.comment(product.child.describe());
    await product.child.stop('SIGKILL');
    await origin.child.stop();
  }
});
