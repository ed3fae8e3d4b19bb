// SPDX-License-Identifier: Apache-2.0
// The whole control plane over loopback: real sockets, the user-space engine, a scripted source, viewers that count.
import t from 'tap';
import type { Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserspaceDatapath } from '../../../src/control/kernel/userspace.js';
import { systemPorts } from '../../../src/control/net/system-ports.js';
import type { Log } from '../../../src/control/path/ports.js';
import { createProxy } from '../../../src/control/path/proxy.js';
import { buildReceiverReport } from '../../../src/control/rtcp/build.js';
import { parseCompound } from '../../../src/control/rtcp/compound.js';
import { ntpFromUnixNs, ntpMiddle } from '../../../src/control/rtcp/ntp.js';
import { Framer } from '../../../src/control/rtsp/framer.js';
import { request, type RtspResponse } from '../../../src/control/rtsp/message.js';
import { serialize } from '../../../src/control/rtsp/serialize.js';
import { quickTable } from '../../../src/control/config/quick.js';
import { parseRtspUrl } from '../../../src/control/rtsp/url.js';
import type { Limits } from '../../../src/control/state/limits.js';
import { adjacentPorts, FakeServer, SERVER_SSRC } from '../../fixtures/fake-server.js';

const QUIET: Log = { debug() {}, info() {}, warn() {}, error() {} };
/** Away from the default range: other proxies may run on this host. */
const PORTS = { first: 15_000, last: 15_039 };

class Viewer {
  readonly numbers: number[] = [];
  readonly rtcp: Buffer[] = [];
  closed = false;
  readonly #answers: ((answer: RtspResponse) => void)[] = [];
  #cseq = 0;

  private constructor(
    readonly socket: Socket,
    readonly url: string,
    readonly ports: readonly [UdpSocket, UdpSocket],
  ) {
    const framer = new Framer();
    socket.on('data', (chunk) => {
      framer.push(chunk);
      for (let message = framer.next(); message; message = framer.next())
        if (message.kind === 'response') this.#answers.shift()!(message);
    });
    socket.on('error', () => {});
    socket.on('close', () => (this.closed = true));
    ports[0].on('message', (packet) => this.numbers.push(packet.readUInt32BE(12)));
    ports[1].on('message', (packet) => this.rtcp.push(packet));
  }

  static async join(port: number): Promise<Viewer> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new Viewer(socket, `rtsp://localhost:${port}/x`, await adjacentPorts());
  }

  ask(method: string, url: string, headers: Record<string, string> = {}): Promise<RtspResponse> {
    const answer = new Promise<RtspResponse>((resolve) => this.#answers.push(resolve));
    this.socket.write(
      serialize(request(method, url, Object.entries({ CSeq: `${++this.#cseq}`, ...headers }))),
    );
    return answer;
  }

  async play(): Promise<{ play: RtspResponse; session: string; serverRtcp: number }> {
    const { port } = this.ports[0].address();
    const setup = await this.ask('SETUP', `${this.url}/v`, {
      Transport: `RTP/AVP;unicast;client_port=${port}-${port + 1}`,
    });
    const session = setup.headers.get('Session')!.split(';')[0]!;
    const serverRtcp = Number(/server_port=\d+-(\d+)/.exec(setup.headers.get('Transport')!)![1]);
    return { play: await this.ask('PLAY', this.url, { Session: session }), session, serverRtcp };
  }

  leave(): void {
    this.socket.destroy();
    for (const port of this.ports) port.close();
  }
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 4000; i++) {
    if (what()) return;
    await sleep(5);
  }
  throw new Error(`not within twenty seconds: ${what}`);
}

/** What is sent here are no pictures: nobody waits for one. */
const NO_PICTURES = { holdMs: 0, cachePackets: 0, cacheTotalPackets: 0 };

async function start(limits: Partial<Limits> = {}) {
  const server = await FakeServer.start();
  const datapath = new UserspaceDatapath({ why: 'a test', pictures: NO_PICTURES });
  const proxy = createProxy({
    ...systemPorts({ log: QUIET, ports: PORTS }),
    paths: quickTable(parseRtspUrl(`rtsp://127.0.0.1:${server.port}/x`), { sourceHold: 0 }),
    source: 'a test',
    listen: { host: '127.0.0.1', port: 0 },
    datapath,
    log: QUIET,
    limits,
  });
  const { port } = await proxy.listen();
  const stop = async () => {
    await proxy.close();
    await datapath.close();
    await server.close();
  };
  const nothingLeft = () => proxy.streams().length === 0 && proxy.clients().length === 0;
  return { server, proxy, port, stop, nothingLeft };
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
  t.same(server.methods.slice(0, 3), ['DESCRIBE', 'SETUP', 'PLAY']);
  t.match(proxy.clients(), [{ tracks: [{ packets: 100, bytes: 1600 }] }, { tracks: [{ packets: 50 }] }]);
  t.match(proxy.status(), { connections: 2, viewers: 2, streams: 1 });
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
  t.match(proxy.status().facts, { streams: 0, viewers: 0 });
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
