// SPDX-License-Identifier: Apache-2.0
// Requests that are wrong: one table of what is answered, and that it leaves nothing. What the source refuses is in
// lifecycle.test.ts.
import t from 'tap';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, NOTHING_LEFT, PROXY, type FakeLink } from '../../fixtures/fake-world.js';

const ports = (rtp: number) => `RTP/AVP;unicast;client_port=${rtp}-${rtp + 1}`;

/** SETUP of one track. */
async function setUp(viewer: FakeLink): Promise<string> {
  const { headers } = await viewer.ask('SETUP', `${PROXY}/x/v`, { Transport: ports(40_000) });
  return headers.get('Session')!.split(';')[0]!;
}

const WRONG: readonly {
  what: string;
  method: string;
  url?: string;
  headers?: Record<string, string | undefined>;
  status: number;
  field?: [string, RegExp];
}[] = [
  { what: 'no CSeq', method: 'OPTIONS', headers: { CSeq: undefined }, status: 400 },
  { what: 'CSeq not a number', method: 'OPTIONS', headers: { CSeq: 'x1' }, status: 400 },
  { what: 'unknown method', method: 'BREW', status: 501 },
  { what: 'lower case method', method: 'options', status: 501 },
  { what: 'ANNOUNCE', method: 'ANNOUNCE', status: 405, field: ['Allow', /DESCRIBE/] },
  { what: 'RECORD', method: 'RECORD', status: 405, field: ['Allow', /SETUP/] },
  { what: 'REDIRECT', method: 'REDIRECT', status: 405 },
  {
    what: 'required option',
    method: 'OPTIONS',
    headers: { Require: 'x-y' },
    status: 551,
    field: ['Unsupported', /^x-y$/],
  },
  {
    what: 'proxy option',
    method: 'PLAY',
    headers: { 'Proxy-Require': 'z' },
    status: 551,
    field: ['Unsupported', /^z$/],
  },
  { what: 'http URL', method: 'DESCRIBE', url: 'http://proxy.example/x', status: 400 },
  { what: 'no URL', method: 'DESCRIBE', url: 'x', status: 400 },
  { what: '* where a URL is needed', method: 'DESCRIBE', url: '*', status: 400 },
  { what: 'long URL', method: 'DESCRIBE', url: `${PROXY}/${'x'.repeat(5000)}`, status: 414 },
  { what: 'unknown path', method: 'DESCRIBE', url: `${PROXY}/none`, status: 404 },
  { what: 'unwanted format', method: 'DESCRIBE', headers: { Accept: 'text/html' }, status: 406 },
  { what: 'no Transport', method: 'SETUP', url: `${PROXY}/x/v`, status: 461 },
  {
    what: 'interleaved, of a profile that is not ours',
    method: 'SETUP',
    url: `${PROXY}/x/v`,
    headers: { Transport: 'RTP/SAVP/TCP;unicast;interleaved=0-1' },
    status: 461,
  },
  {
    what: 'multicast',
    method: 'SETUP',
    url: `${PROXY}/x/v`,
    headers: { Transport: 'RTP/AVP;multicast;client_port=1-2' },
    status: 461,
  },
  {
    what: 'no client_port',
    method: 'SETUP',
    url: `${PROXY}/x/v`,
    headers: { Transport: 'RTP/AVP;unicast' },
    status: 461,
  },
  {
    what: 'port 0',
    method: 'SETUP',
    url: `${PROXY}/x/v`,
    headers: { Transport: 'RTP/AVP;unicast;client_port=0-1' },
    status: 461,
  },
  {
    what: 'port 65535 alone',
    method: 'SETUP',
    url: `${PROXY}/x/v`,
    headers: { Transport: 'RTP/AVP;unicast;client_port=65535' },
    status: 461,
  },
  {
    what: 'ports the wrong way round',
    method: 'SETUP',
    url: `${PROXY}/x/v`,
    headers: { Transport: 'RTP/AVP;unicast;client_port=5001-5000' },
    status: 461,
  },
  {
    what: 'to record',
    method: 'SETUP',
    url: `${PROXY}/x/v`,
    headers: { Transport: `${ports(5000)};mode=record` },
    status: 461,
  },
  {
    what: 'several tracks in one SETUP',
    method: 'SETUP',
    url: `${PROXY}/x/`,
    headers: { Transport: ports(5000) },
    status: 459,
  },
  {
    what: 'no such track',
    method: 'SETUP',
    url: `${PROXY}/x/zzz`,
    headers: { Transport: ports(5000) },
    status: 404,
  },
  {
    what: 'no such resource',
    method: 'SETUP',
    url: `${PROXY}/none/v`,
    headers: { Transport: ports(5000) },
    status: 404,
  },
  { what: 'PLAY without session', method: 'PLAY', status: 454 },
  { what: 'PAUSE without session', method: 'PAUSE', status: 454 },
  { what: 'TEARDOWN without session', method: 'TEARDOWN', status: 454 },
  { what: 'unknown session', method: 'GET_PARAMETER', headers: { Session: 'nosuch' }, status: 454 },
  { what: 'unreadable session', method: 'PLAY', headers: { Session: ';;' }, status: 454 },
];

t.test('wrong requests get the status that says what is wrong, and leave nothing', async (t) => {
  const world = await FakeWorld.start({ script: fakeSource() });
  for (const { what, method, url = `${PROXY}/x`, headers = {}, status, field } of WRONG) {
    const answer = await world.viewer().ask(method, url, headers);
    t.equal(answer.status, status, what);
    if (field) t.match(answer.headers.get(field[0]), field[1], what);
  }
  await world.advance(11_000, 1000);
  t.same({ ...world.left, deadlines: 0 }, NOTHING_LEFT);
  t.match(world.proxy.status().refused, { 'request-461': 8, 'request-551': 2 });
  await world.proxy.close();
});

t.test('wrong state, wrong viewer, wrong ports', async (t) => {
  const world = await FakeWorld.start({
    script: fakeSource(),
    limits: { sessionsPerConnection: 2, sessionsPerAddress: 3, sessions: 4 },
  });
  const viewer = world.viewer();
  const Session = await setUp(viewer);
  const status = async (link: FakeLink, method: string, url: string, headers = {}) =>
    (await link.ask(method, url, { Session, ...headers })).status;
  t.equal(await status(viewer, 'PAUSE', `${PROXY}/x/`), 455, 'never played');
  t.equal(await status(viewer, 'PLAY', `${PROXY}/x/`, { Range: 'npt=x' }), 457);
  t.equal(await status(world.viewer(), 'PLAY', `${PROXY}/x/`), 454, 'from another address');
  t.equal(
    await status(viewer, 'SETUP', `${PROXY}/other/a`, { Transport: ports(41_000) }),
    459,
    'another resource',
  );
  t.equal(
    await status(viewer, 'SETUP', `${PROXY}/x/v`, { Transport: ports(42_000) }),
    200,
    'other ports before PLAY',
  );
  t.equal(await status(viewer, 'PLAY', `${PROXY}/x/`), 200);
  t.equal([...world.streams[0]!.viewers.values()][0]!.rtpPort, 42_000);
  t.equal(
    await status(viewer, 'SETUP', `${PROXY}/x/v`, { Transport: ports(43_000) }),
    455,
    'other ports while it plays',
  );

  const neighbour = world.viewer(viewer.remote.address);
  const taken = await neighbour.ask('SETUP', `${PROXY}/x/v`, { Transport: ports(42_001) });
  t.equal(taken.status, 461, 'a port that another session of the address has');
  const ok = await neighbour.ask('SETUP', `${PROXY}/x/v`, { Transport: ports(44_000) });
  t.equal(ok.status, 200);
  await neighbour.ask('SETUP', `${PROXY}/x/v`, { Transport: ports(44_010) });
  t.equal(
    (await neighbour.ask('SETUP', `${PROXY}/x/v`, { Transport: ports(44_020) })).status,
    503,
    'of one connection',
  );
  const another = world.viewer(viewer.remote.address);
  const crowded = await another.ask('SETUP', `${PROXY}/x/v`, { Transport: ports(44_030) });
  t.equal(crowded.status, 503, 'of one address');
  await setUp(world.viewer());
  const third = await world.viewer().ask('SETUP', `${PROXY}/x/v`, { Transport: ports(44_000) });
  t.equal(third.status, 503, 'in all');
  await viewer.ask('TEARDOWN', `${PROXY}/x/`, { Session });
  const heir = world.viewer(viewer.remote.address);
  const free = await heir.ask('SETUP', `${PROXY}/x/v`, { Transport: ports(42_000) });
  t.equal(free.status, 200, 'who leaves gives its ports back');
  await world.proxy.close();
});

t.test(
  'what cannot be written to the source takes no place among the requests that wait there',
  async (t) => {
    const world = await FakeWorld.start({ script: fakeSource() });
    const viewer = world.viewer();
    const Session = await setUp(viewer);
    const Range = 'clock=\u2603-'; // no line of a head can hold it
    t.equal((await viewer.ask('PLAY', `${PROXY}/x/`, { Session, Range })).status, 502);
    t.equal((await viewer.ask('PLAY', `${PROXY}/x/`, { Session })).status, 200);
    t.equal(world.sources.length, 1, 'on the same connection');
    await world.proxy.close();
  },
);
