// SPDX-License-Identifier: Apache-2.0
// Paths with names of their own, over several sources in memory; and what a reload does to who is watching.
import t from 'tap';
import { parseConfig } from '../../../src/control/config/parse.js';
import type { PathTable } from '../../../src/control/config/path-table.js';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, NOTHING_LEFT, PROXY, type FakeLink } from '../../fixtures/fake-world.js';

const ports = (rtp: number) => `RTP/AVP;unicast;client_port=${rtp}-${rtp + 1}`;

function table(paths: Record<string, object>, more: object = {}): PathTable {
  const parsed = parseConfig(JSON.stringify({ paths, ...more })); // JSON is YAML
  if ('table' in parsed) return parsed.table;
  throw new Error(JSON.stringify(parsed.faults));
}

const ONE = { source: 'rtsp://one.example/x' };
const TWO = { source: 'rtsp://two.example/other' };

/** The summary of what was refused is gone as well. */
const CLOSED = { ...NOTHING_LEFT, deadlines: -1 };

async function watch(viewer: FakeLink, path: string): Promise<void> {
  const setup = await viewer.ask('SETUP', `${PROXY}${path}/v`, { Transport: ports(40_000) });
  const Session = setup.headers.get('Session')?.split(';')[0];
  const play = await viewer.ask('PLAY', `${PROXY}${path}/`, { Session });
  if (play.status !== 200) throw new Error(`SETUP ${setup.status}, PLAY ${play.status}`);
}

t.test('each path leads to its own source, under its own name', async (t) => {
  const paths = table({ lobby: ONE, 'cam/*': { source: 'rtsp://two.example/$1' } }, { root: 'lobby' });
  const world = await FakeWorld.start({ script: fakeSource({ silent: true }), paths });
  const described = await world.viewer().ask('DESCRIBE', `${PROXY}/lobby?token=7`);
  t.equal(described.headers.get('Content-Base'), `${PROXY}/lobby/`);
  t.match(described.body.toString(), `a=control:${PROXY}/lobby/v\r\n`);
  t.notMatch(described.body.toString(), /one\.example/);
  await watch(world.viewer(), '/lobby');
  await watch(world.viewer(), '/cam/x');
  t.same(
    world.sources.map(({ requests }) => requests.map(({ method, uri }) => `${method} ${uri}`)),
    [
      ['DESCRIBE rtsp://one.example/x', 'SETUP rtsp://one.example/x/v', 'PLAY rtsp://one.example/x/'],
      ['DESCRIBE rtsp://two.example/x', 'SETUP rtsp://two.example/x/v', 'PLAY rtsp://two.example/x/'],
    ],
  );
  t.same(world.connectedTo, ['one.example:554', 'two.example:554']);
  t.same(
    world.proxy.streams().map(({ path }) => path),
    ['/lobby', '/cam/x'],
  );
  t.equal((await world.viewer().ask('DESCRIBE', `${PROXY}/`)).headers.get('Content-Base'), `${PROXY}/lobby/`);
  t.match(world.proxy.paths(), [
    { name: 'lobby', source: 'rtsp://one.example/x', streams: 1, viewers: 1, maxViewers: null },
    { name: 'cam/*', source: 'rtsp://two.example/$1', streams: 1, viewers: 1, maxViewers: null },
  ]);
  for (const path of ['/x', '/cam', '/cam/../x', '/lobby/more'])
    t.equal((await world.viewer().ask('DESCRIBE', PROXY + path)).status, 404, path);
  await world.proxy.close();
  t.same(world.left, CLOSED);
});

t.test('tracks that are elsewhere at the source get a place of the path', async (t) => {
  const elsewhere = fakeSource();
  const script: typeof elsewhere = (request) => {
    const answer = elsewhere(request);
    if (request.method !== 'DESCRIBE' || !answer) return answer;
    const text = answer.body.toString().replace(`${request.uri}/v`, 'rtsp://one.example/media/7');
    return { ...answer, body: Buffer.from(text) };
  };
  const world = await FakeWorld.start({ script, paths: table({ lobby: ONE }) });
  const viewer = world.viewer();
  const sdp = (await viewer.ask('DESCRIBE', `${PROXY}/lobby`)).body.toString();
  t.match(sdp, `a=control:${PROXY}/lobby/trackID=0\r\n`);
  const setup = await viewer.ask('SETUP', `${PROXY}/lobby/trackID=0`, { Transport: ports(40_000) });
  t.equal(setup.status, 200);
  t.equal(world.source.requests.at(-1)?.uri, 'rtsp://one.example/media/7');
  await world.proxy.close();
});

t.test('a path has its limits', async (t) => {
  const limits = { maxViewers: 1, viewers: ['203.0.113.0/24'] };
  const world = await FakeWorld.start({
    script: fakeSource(),
    paths: table({ a: { ...ONE, ...limits }, b: TWO }),
  });
  const stranger = await world.viewer('198.51.100.9').ask('DESCRIBE', `${PROXY}/a`);
  t.equal(stranger.status, 403);
  const setup = { Transport: ports(40_000) };
  t.equal((await world.viewer('198.51.100.9').ask('SETUP', `${PROXY}/a/v`, setup)).status, 403);
  t.same(world.asked, [], 'nothing was asked for it');
  await watch(world.viewer(), '/a');
  t.equal(
    (await world.viewer('198.51.100.9').ask('SETUP', `${PROXY}/a/v`, setup)).status,
    403,
    'nor of what is known',
  );
  t.equal((await world.viewer().ask('SETUP', `${PROXY}/a/v`, setup)).status, 503);
  await watch(world.viewer(), '/b');
  await world.proxy.close();
});

t.test('a reload ends what is changed or gone, and nothing else', async (t) => {
  const before = { kept: ONE, changed: ONE, gone: ONE };
  const world = await FakeWorld.start({ script: fakeSource({ silent: true }), paths: table(before) });
  const viewers = [world.viewer(), world.viewer(), world.viewer()];
  for (const [i, name] of Object.keys(before).entries()) await watch(viewers[i]!, `/${name}`);
  world.proxy.reload(table({ new: TWO, kept: { ...ONE, maxViewers: 1 }, changed: TWO }));
  await world.settle();
  t.same(
    viewers.map(({ open }) => open),
    [true, false, false],
  );
  t.same(
    world.sources.map(({ requests }) => requests.at(-1)?.method),
    ['PLAY', 'TEARDOWN', 'TEARDOWN'],
  );
  t.same(
    world.streams.map(({ open }) => open),
    [true, false, false],
  );
  for (const [path, status] of [
    ['/gone', 404],
    ['/changed', 200],
    ['/new', 200],
  ] as const)
    t.equal((await world.viewer().ask('DESCRIBE', PROXY + path)).status, status, path);
  t.equal(world.connectedTo.at(-1), 'two.example:554');
  const setup = { Transport: ports(40_000) };
  t.equal((await world.viewer().ask('SETUP', `${PROXY}/gone/v`, setup)).status, 404, 'nothing is remembered');
  t.equal((await world.viewer().ask('SETUP', `${PROXY}/kept/v`, setup)).status, 503, 'the new limit counts');
  await world.proxy.close();
  t.same(world.left, CLOSED);
});

t.test('a reload ends viewers that may not be there any more, and lets others play on', async (t) => {
  const world = await FakeWorld.start({ script: fakeSource(), paths: table({ a: ONE }) });
  const [mine, other] = [world.viewer('203.0.113.1'), world.viewer('198.51.100.9')];
  await watch(mine, '/a');
  await watch(other, '/a');
  world.proxy.reload(table({ a: { ...ONE, viewers: ['203.0.113.0/24'] } }));
  await world.settle();
  t.same([mine.open, other.open], [true, false]);
  t.notOk(world.asked.includes('TEARDOWN'));
  await world.proxy.close();
});

t.test('a reload while the source is asked: who waits is refused, nothing is left', async (t) => {
  const usual = fakeSource();
  const world = await FakeWorld.start({
    script: (request) => (request.method === 'SETUP' ? undefined : usual(request)),
    paths: table({ a: ONE }),
  });
  const viewer = world.viewer();
  const waiting = viewer.ask('SETUP', `${PROXY}/a/v`, { Transport: ports(40_000) });
  await world.settle();
  t.same(world.asked, ['DESCRIBE', 'SETUP']);
  world.proxy.reload(table({ b: ONE }));
  t.equal((await waiting).status, 503);
  await world.proxy.close();
  t.same(world.left, CLOSED);
});
