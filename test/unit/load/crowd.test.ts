// SPDX-License-Identifier: Apache-2.0
// Viewers of the load generator over UDP: each has ports for as many m= sections as there are, and who has none is told.
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { startCamera } from '../../../tools/camera/server.js';
import { ClientPorts, TooFewPorts } from '../../../tools/load/client-ports.js';
import { Receiver } from '../../../tools/load/receiver.js';
import { Crowd, type CrowdOptions } from '../../../tools/load/crowd.js';
import { until } from '../../../tools/netns/wait.js';

/** With picture and sound. */
async function camera(t: Test) {
  const asked: string[] = [];
  const started = await startCamera({
    ...{ host: '127.0.0.1', port: 0, clip: readFileSync('tools/camera/clip.h264'), paths: ['/camera'] },
    ...{ audio: true, rate: 25, payload: 1400, burst: undefined, once: false, silent: false },
    notify: (event) => asked.push(event),
  });
  t.teardown(() => started.close());
  return { url: `rtsp://127.0.0.1:${started.port}/camera`, asked };
}

/** Addresses of their own: nobody else's ports are in their way, nor theirs in anybody's. */
const crowd = (url: string, viewers: number, more: Partial<CrowdOptions> = {}) =>
  new Crowd({
    ...{ url, viewers, transport: 'udp', rate: 1000, addresses: ['127.0.0.81', '127.0.0.82'] },
    ...{ ports: { low: 31_000, high: 31_007 }, receive: true, reportMs: undefined, timeoutMs: 5000, ...more },
  });

t.test('picture and sound for each of several viewers', async (t) => {
  const { url } = await camera(t);
  const viewers = crowd(url, 4);
  await viewers.join();
  t.match(viewers.summary(), { joined: 4, failures: {} });
  const received = () => viewers.summary().received!.flat();
  await until('both to reach all', () => received().every(({ packets }) => packets > 2));
  t.equal(received().length, 8);
  t.ok(received().every(({ lost, duplicated, reordered }) => lost + duplicated + reordered === 0));
  await viewers.leave();
  t.match(viewers.summary().failures, {});
});

t.test('those who stay for a while only count as well, and report', async (t) => {
  const { url } = await camera(t);
  const reports = t.capture(Receiver.prototype, 'report', Receiver.prototype.report);
  const viewers = crowd(url, 2, { stayMs: 1500, reportMs: 200 });
  await viewers.join();
  const received = () => viewers.summary().received!.flat();
  await until('packets for both', () => received().every(({ packets }) => packets > 2));
  await viewers.leave();
  t.equal(received().length, 4, 'two tracks each');
  t.ok(received().every(({ packets, lost }) => packets > 10 && lost === 0));
  t.ok(reports().length >= 12, 'of each about every track, while it stays');
  t.match(viewers.summary().failures, {});
});

t.test('a range that is too small ends it before anybody plays', async (t) => {
  const { url, asked } = await camera(t);
  const viewers = crowd(url, 5);
  await t.rejects(viewers.join(), {
    constructor: TooFewPorts,
    message: /^--ports 31000-31007 has room for 4 of 5 viewers, each with 4 ports/,
  });
  t.strictSame(
    asked.filter((event) => event !== 'late'),
    [],
  );
  t.throws(() => crowd(url, 9), { message: /room for 8 of 9 viewers, each with 2 ports/ }, 'nobody is asked');
  t.ok(crowd(url, 9, { transport: 'tcp' }), 'who needs none');
});

t.test('ports by the first description, for each address from the beginning', async (t) => {
  const ports = new ClientPorts({ low: 100, high: 119 }, 6, 2);
  t.strictSame(
    [3, 0, 1, 2, 5].map((viewer) => ports.firstOf(viewer, 3)),
    [106, 100, 100, 106, 112],
    'in whatever order they come',
  );
  t.equal(ports.firstOf(4, 2), 112, 'fewer sections than the first had');
  t.throws(() => ports.firstOf(4, 4), { message: 'DESCRIBE: 4 m= sections, but 3 for the first viewer' });
});
