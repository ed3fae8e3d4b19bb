// SPDX-License-Identifier: Apache-2.0
// The whole control plane over loopback: real sockets, the user-space engine, a scripted source, viewers that count.
import t from 'tap';
import { buildReceiverReport } from '../../../src/control/rtcp/build.js';
import { parseCompound } from '../../../src/control/rtcp/compound.js';
import { ntpFromUnixNs, ntpMiddle } from '../../../src/control/rtcp/ntp.js';
import type { Limits } from '../../../src/control/state/limits.js';
import { FakeServer, SERVER_SSRC } from '../../fixtures/fake-server.js';
import { startProxy, until, Viewer } from '../../fixtures/loopback.js';

/** Away from the default range: other proxies may run on this host. */
const PORTS = { first: 15_000, last: 15_039 };

async function start(limits: Partial<Limits> = {}) {
  const server = await FakeServer.start();
  const source = `rtsp://127.0.0.1:${server.port}/x`;
  const { stop: stopProxy, ...started } = await startProxy(source, { ports: PORTS, limits });
  const stop = async () => {
    await stopProxy();
    await server.close();
  };
  return { server, ...started, stop };
}

t.test('every viewer gets every packet once and in order from its PLAY on', async (t) => {
  const { server, proxy, port, stop, nothingLeft } = await start();
  const [a, b] = [await Viewer.join(port), await Viewer.join(port)];
  t.equal((await a.play()).play.status, 200);
  server.sendRtp(50);
  await until(() => a.numbers.length === 50);
  const { play } = await b.play();
  t.match(play.headers.get('RTP-Info'), `url=${b.url}/v;seq=50;`);
  server.sendRtp(50);
  await until(() => a.numbers.length === 100 && b.numbers.length === 50);
  t.same(
    a.numbers,
    Array.from({ length: 100 }, (_, i) => i),
  );
  t.same(
    b.numbers,
    Array.from({ length: 50 }, (_, i) => 50 + i),
  );
  t.same(server.methods.slice(0, 4), ['DESCRIBE', 'SETUP', 'SETUP', 'PLAY']);
  t.match(proxy.clients(), [{ tracks: [{ packets: 100, bytes: 1600 }] }, { tracks: [{ packets: 50 }] }]);
  const { facts, ...row } = proxy.status();
  t.match(row, { connections: 2, viewers: 2, streams: 1 });
  t.same(
    Object.keys(facts).filter((name) => name in row),
    [],
    "no fact of the engine's has a total's name",
  );
  a.leave();
  b.leave();
  await until(nothingLeft);
  t.equal(server.methods.at(-1), 'TEARDOWN');
  await until(() => server.connections.size === 0);
  await stop();
});

t.test(
  'reports: sender reports reach viewers, theirs become a round trip, ours reach the source',
  async (t) => {
    const { server, proxy, port, stop } = await start({ reportMs: 200 });
    const viewer = await Viewer.join(port);
    const { serverRtcp } = await viewer.play();
    server.sendRtp(10);
    await until(() => viewer.numbers.length === 10);
    const ntp = ntpFromUnixNs(1_700_000_000_000_000_000n);
    server.sendSenderReport(ntp);
    await until(() => viewer.rtcp.length === 1);
    const block = {
      ssrc: SERVER_SSRC,
      fraction: 0,
      cumulative: 0,
      extendedMaxSeq: 9,
      jitter: 0,
      lsr: ntpMiddle(ntp),
      dlsr: 0,
    };
    viewer.ports[1].send(buildReceiverReport(7, 'viewer', [block]), serverRtcp, '127.0.0.1');
    const loss = () => proxy.clients()[0]!.tracks[0]!.loss;
    await until(() => loss() !== null);
    t.ok(loss()!.roundTripMs! >= 0 && loss()!.roundTripMs! < 500, `${loss()!.roundTripMs} ms`);
    await until(() => server.reports.length >= 2);
    const compound = parseCompound(server.reports.at(-1)!);
    t.match(compound, {
      ok: true,
      packets: [{ kind: 'rr', blocks: [{ ssrc: SERVER_SSRC, cumulative: 0, lsr: ntpMiddle(ntp) }] }],
    });
    viewer.leave();
    await stop();
  },
);

t.test('a source that dies: viewers are told and closed; the next one starts afresh', async (t) => {
  const { server, proxy, port, stop, nothingLeft } = await start();
  const viewer = await Viewer.join(port);
  await viewer.play();
  server.sendRtp(1);
  await until(() => viewer.numbers.length === 1);
  server.die();
  await until(() => viewer.closed && viewer.rtcp.length === 1);
  t.match(parseCompound(viewer.rtcp[0]!), {
    packets: [{ kind: 'rr' }, { kind: 'sdes' }, { kind: 'bye', ssrcs: [SERVER_SSRC] }],
  });
  t.ok(nothingLeft());
  t.match(proxy.status().facts, { tracks: 0, 'viewers of all tracks': 0 });
  viewer.leave();
  const next = await Viewer.join(port);
  t.equal((await next.play()).play.status, 200);
  next.leave();
  await until(nothingLeft);
  await stop();
});

t.test('no source at all is a bad gateway', async (t) => {
  const { server, port, stop, nothingLeft } = await start();
  await server.close();
  const viewer = await Viewer.join(port);
  t.equal((await viewer.ask('DESCRIBE', viewer.url)).status, 502);
  t.ok(nothingLeft());
  viewer.leave();
  server.close = async () => {};
  await stop();
});

t.test('joining and leaving again and again takes no port for good', async (t) => {
  const { port, stop, nothingLeft, proxy } = await start();
  const used: number[] = [];
  for (let round = 0; round < 25; round++) {
    const viewer = await Viewer.join(port);
    t.equal((await viewer.play()).play.status, 200);
    used.push(proxy.streams()[0]!.tracks[0]!.upstreamPort);
    viewer.leave();
    await until(nothingLeft);
  }
  t.ok(new Set(used).size < used.length, 'each round takes two of the twenty pairs');
  await stop();
});
