// SPDX-License-Identifier: Apache-2.0
// Paths that are always on (onDemand: false): connected without a viewer, kept when the last one leaves, and asked again for
// ever, but not hastily.

import t from 'tap';
import { parseConfig } from '../../../src/control/config/parse.js';
import type { PathTable } from '../../../src/control/config/path-table.js';
import { buildGoodbye } from '../../../src/control/rtcp/build.js';
import { response, type RtspRequest } from '../../../src/control/rtsp/message.js';
import { fakeSource, type Script } from '../../fixtures/fake-source.js';
import { FakeWorld, type FakePair, NOTHING_LEFT, PROXY } from '../../fixtures/fake-world.js';

function tableOf(paths: object): PathTable {
  const parsed = parseConfig(JSON.stringify({ paths }));
  if ('table' in parsed) return parsed.table;
  throw new Error(JSON.stringify(parsed.faults));
}

const X = { source: 'rtsp://source.example/x', sourceTransport: 'udp' };
const ON = { ...X, onDemand: false };
const state = (w: FakeWorld) => w.proxy.streams().map(({ state }) => state);

async function start(script: Script, x: object = ON): Promise<FakeWorld> {
  const w = await FakeWorld.start({ paths: tableOf({ x }), script });
  await w.settle();
  return w;
}

async function watch(w: FakeWorld) {
  const viewer = w.viewer();
  const Transport = 'RTP/AVP;unicast;client_port=40000-40001';
  const setup = await viewer.ask('SETUP', `${PROXY}/x/v`, { Transport });
  const Session = setup.headers.get('Session')?.split(';')[0];
  const play = await viewer.ask('PLAY', `${PROXY}/x/`, { Session, Range: 'npt=20-' });
  return { viewer, Session, status: play.status };
}

t.test('from the start on, through viewers who come and go, to the end', async (t) => {
  const w = await start(fakeSource());
  t.same(state(w), ['playing'], 'without a viewer');
  const asked = ['DESCRIBE', 'SETUP', 'SETUP', 'PLAY'];
  t.same(w.asked, asked);
  t.equal(w.streams.length, 2, 'all tracks');
  const { viewer, Session, status } = await watch(w);
  t.equal(status, 200);
  t.equal(w.streams[0]!.viewers.size, 1);
  t.notOk(
    w.asked.slice(asked.length).some((method) => /SETUP|PLAY/.test(method)),
    'it plays already',
  );
  await viewer.ask('TEARDOWN', `${PROXY}/x/`, { Session });
  await w.advance(30_000, 1000);
  t.same(state(w), ['playing'], 'the last viewer has left');
  t.notOk(w.asked.includes('TEARDOWN'));
  t.same(w.sources.length, 1);
  await w.proxy.close();
  t.equal(w.asked.at(-1), 'TEARDOWN');
  t.same({ ...w.left, deadlines: 0 }, NOTHING_LEFT);
});

t.test(
  'a recorded source is neither moved nor stopped by a viewer, and begins anew at its end',
  async (t) => {
    const w = await start(fakeSource({ recorded: true }));
    const { viewer, Session } = await watch(w);
    await viewer.ask('PAUSE', `${PROXY}/x/`, { Session });
    const kept = w.sources[0]!.requests;
    t.notOk(kept.some(({ method }) => method === 'PAUSE'));
    t.same(
      kept.flatMap(({ method, headers }) => (method === 'PLAY' ? [headers.get('Range')] : [])),
      [undefined],
    );
    viewer.close();
    await w.advance(1000);
    const before = w.sources.length;
    const [video, audio] = w.streams.map(({ spec }) => spec.upstream as FakePair);
    video!.receiveRtcp(buildGoodbye(1, 'clip'), { address: '192.0.2.1', port: 6001 });
    audio!.receiveRtcp(buildGoodbye(1, 'clip'), { address: '192.0.2.1', port: 6003 });
    await w.advance(5000);
    t.ok(w.sources.length > before, 'it is asked for it again');
    t.same(state(w), ['playing']);
    await w.proxy.close();
  },
);

t.test(
  'a source that is lost, or never there, is asked again at growing intervals; who refuses us rarely',
  async (t) => {
    let answers: 'well' | 'not' | 401 = 'not';
    const script = fakeSource();
    const answer = (request: RtspRequest) =>
      answers === 'well' ? script(request) : answers === 401 ? response(401) : response(500);
    const w = await start(answer);
    await w.advance(60_000, 500);
    const tries = w.sources.length;
    t.ok(tries >= 7 && tries <= 16, `${tries} attempts in the first minute`);
    t.equal(w.logged.filter((text) => /always on/.test(text)).length, 1, 'told once');
    answers = 'well';
    await w.advance(16_000, 500);
    t.same(state(w), ['playing']);
    const before = w.sources.length;
    w.source.break();
    await w.settle();
    t.same(state(w), ['reconnecting'], 'the stream stays, with what it has of a picture');
    await w.advance(2000);
    t.same(state(w), ['playing']);
    t.equal(w.sources.length, before + 1);
    answers = 401;
    w.source.break();
    await w.advance(20_000, 500);
    const refused = w.sources.length;
    await w.advance(200_000, 1000);
    t.ok(w.sources.length - refused <= 1, `${w.sources.length - refused} attempts with a wrong password`);
    await w.proxy.close();
    t.same({ ...w.left, deadlines: 0 }, NOTHING_LEFT);
  },
);

t.test('all of it that can be had, and nothing where nothing can be had', async (t) => {
  for (const [refused, status, playing] of [
    [/\/a$/, 461, true],
    [/\/v$/, 404, true],
    [/\/[av]$/, 461, false],
    [/\/a$/, 401, false],
    [/\/a$/, 500, false],
  ] as const) {
    const usual = fakeSource();
    const w = await start((request) =>
      request.method === 'SETUP' && refused.test(request.uri) ? response(status) : usual(request),
    );
    await w.advance(1000);
    t.equal(state(w).includes('playing'), playing, `${refused} ${status}`);
    t.equal(w.asked.includes('PLAY'), playing);
    if (!playing) t.equal(w.logged.filter((text) => /always on/.test(text)).length, 1);
    await w.proxy.close();
    t.same({ ...w.left, deadlines: 0 }, NOTHING_LEFT);
  }
});

t.test('a reload begins and ends it, and what does not concern it changes nothing', async (t) => {
  const w = await start(fakeSource(), X);
  t.same(w.asked, [], 'on demand');
  w.proxy.reload(tableOf({ x: ON }));
  await w.settle();
  t.same(state(w), ['playing']);
  w.proxy.reload(tableOf({ x: { ...ON, maxViewers: 3 } }));
  await w.advance(2000);
  t.equal(w.sources.length, 1);
  w.proxy.reload(tableOf({ x: { ...ON, source: 'rtsp://source.example/other' } }));
  await w.advance(5000);
  t.same(state(w), ['playing']);
  t.equal(w.sources.length, 2);
  t.match(w.source.requests[0]!.uri, /other/);
  const { viewer } = await watch(w);
  w.proxy.reload(tableOf({ x: { ...X, source: 'rtsp://source.example/other' } }));
  await w.advance(2000);
  t.same(state(w), ['playing'], 'on demand again, but somebody watches');
  viewer.close();
  await w.advance(3000);
  t.same(w.left, NOTHING_LEFT);
  w.proxy.reload(tableOf({ x: ON }));
  await w.settle();
  w.proxy.flush();
  await w.advance(3000);
  t.same(state(w), ['playing'], 'what is flushed comes back');
  await w.proxy.close();
});
