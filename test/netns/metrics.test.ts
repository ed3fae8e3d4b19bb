// SPDX-License-Identifier: Apache-2.0
// Metrics of a running proxy, read as Prometheus' own Python client reads them.
import t from 'tap';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { canRun } from '../../tools/netns/probe.js';
import { until } from '../../tools/netns/wait.js';
import { GstServer, canServe } from './gst-server.js';
import { ffmpeg, makeClip } from './players.js';
import { Product, freePort, temporaryFolder } from './product.js';

t.setTimeout(60_000);

/** Debian's, which has the package. */
const PYTHON = '/usr/bin/python3';
const skip =
  canRun('ffmpeg', ['-version']) ?? canRun(PYTHON, ['-c', 'import prometheus_client']) ?? canServe() ?? false;
const HOST = '127.0.0.1';
const READ = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families as families
print(json.dumps([[f.name, f.type, [[s.name, s.labels, s.value] for s in f.samples]] for f in families(sys.stdin.read())]))
`;

type Read = [
  name: string,
  type: string,
  samples: [name: string, labels: Record<string, string>, value: number][],
][];

t.test('metrics of a proxy with viewers, and after them', { skip }, async (t) => {
  const folder = temporaryFolder();
  const server = await GstServer.start({ file: await makeClip(folder, 10), address: HOST });
  const [port, at] = [await freePort(), await freePort()];
  const more = ['--metrics-listen', String(at)];
  const product = await Product.start({ engine: 'userspace', source: server.url, host: HOST, port, more });
  const read = async (): Promise<Read> => {
    const text = await (await fetch(`http://${HOST}:${at}/metrics`)).text();
    return JSON.parse(execFileSync(PYTHON, ['-c', READ], { input: text, encoding: 'utf8' })) as Read;
  };
  const values = async (name: string) =>
    (await read())
      .flatMap(([, , samples]) => samples)
      .filter((sample) => sample[0] === `rtsp_fanout_${name}`);
  try {
    const families = await read();
    t.ok(families.every(([name]) => name.startsWith('rtsp_fanout_')));
    t.ok(families.every(([, type]) => type === 'gauge' || type === 'counter'));
    t.match(await values('info'), [['rtsp_fanout_info', { engine: 'userspace', version: /^\d/ }, 1]]);

    const viewers = await Promise.all([0, 1].map(() => ffmpeg(undefined, product.url(HOST, '/clip'))));
    await until('both to play', async () => {
      const clients = await product.clients();
      return clients.filter(({ state }) => state === 'playing').length === 2;
    });
    await until('packets', async () => (await values('sent_packets_total'))[0]![2] > 100);
    t.match(await values('viewers'), [['rtsp_fanout_viewers', {}, 2]]);
    t.match(await values('stream_viewers'), [['rtsp_fanout_stream_viewers', { stream: '/clip' }, 2]]);
    t.match(await values('stream_playing'), [['rtsp_fanout_stream_playing', { stream: '/clip' }, 1]]);
    const [[, labels, received]] = (await values('received_packets_total')) as [Read[number][2][number]];
    t.match(labels, { stream: '/clip', track: '0', media: 'video' });
    t.ok(received > 50);

    const before = (await values('sent_packets_total'))[0]![2];
    for (const viewer of viewers) await viewer.child.stop('SIGTERM');
    await product.idle();
    const after = await values('sent_packets_total');
    const rows = (await product.paths()).map(({ path, packets }) => [
      'rtsp_fanout_sent_packets_total',
      { path },
      packets,
    ]);
    t.same(after, rows, 'as the API has it');
    t.ok(after[0]![2] >= before, 'what viewers got who have left stays counted');
    t.same(await values('stream_viewers'), [], 'the stream has ended');
    await product.stop();
  } finally {
    await Promise.all([product.child, server.child].map((child) => child.stop('SIGKILL')));
  }
});

t.test(
  'after a crash a port that somebody else has taken meanwhile costs the metrics, not the viewer',
  { skip },
  async (t) => {
    const server = await GstServer.start({ file: await makeClip(temporaryFolder(), 30), address: HOST });
    const [port, at] = [await freePort(), await freePort()];
    const more = ['--keep', '--metrics-listen', `${HOST}:${at}`];
    const product = await Product.start({ engine: 'userspace', source: server.url, host: HOST, port, more });
    const other = createServer();
    try {
      const viewer = await ffmpeg(undefined, product.url(HOST, '/clip'), 150);
      const plays = async () => (await product.clients()).some(({ state }) => state === 'playing');
      await until('the viewer to play', plays);
      const tasks = `/proc/${product.child.pid}/task/${product.child.pid}/children`;
      process.kill(Number(readFileSync(tasks, 'utf8').trim()), 'SIGKILL');
      await until('its port', () => listens(other, at));
      await until(
        'the next process',
        () => /cannot be asked; viewers go on/.test(product.child.stderr),
        10_000,
      );
      await until('the viewer to be there', plays);
      t.equal((await viewer.frames()).length, 150, 'it has noticed nothing');
      await product.stop();
    } finally {
      other.close();
      await Promise.all([product.child, server.child].map((child) => child.stop('SIGKILL')));
    }
  },
);

function listens(server: Server, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    server.once('error', () => resolve(false)).listen(port, HOST, () => resolve(true));
  });
}
