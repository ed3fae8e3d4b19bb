// SPDX-License-Identifier: Apache-2.0
// What a publisher may not do: wrong input, rights, limits; nothing is left of it.

import t from 'tap';
import * as fc from 'fast-check';
import {
  LIVE,
  TCP,
  UDP,
  announce,
  audio,
  publish,
  sdp,
  start,
  video,
} from '../../fixtures/fake-publisher.js';
import { NOTHING_LEFT, PROXY } from '../../fixtures/fake-world.js';

const WRONG: {
  what: string;
  /** What is asked before, in the right way. */
  after?: 'announce' | 'setup' | 'record';
  method: string;
  url?: string;
  headers?: Record<string, string | undefined>;
  body?: string;
  status: number;
  reason?: RegExp;
  allow?: true;
}[] = [
  {
    what: 'a path that is pulled',
    method: 'ANNOUNCE',
    url: `${PROXY}/pulled`,
    body: sdp(video()),
    status: 405,
    allow: true,
  },
  {
    what: 'a path that is not there',
    method: 'ANNOUNCE',
    url: `${PROXY}/none`,
    body: sdp(video()),
    status: 404,
  },
  { what: 'a way up', method: 'ANNOUNCE', url: `${PROXY}/room/../live`, body: sdp(video()), status: 404 },
  { what: 'no description', method: 'ANNOUNCE', body: '', status: 400, reason: /no media section/ },
  { what: 'no SDP', method: 'ANNOUNCE', body: 'hello', status: 400, reason: /no media section/ },
  {
    what: 'another type',
    method: 'ANNOUNCE',
    headers: { 'Content-Type': 'text/plain' },
    body: sdp(video()),
    status: 415,
  },
  {
    what: 'too many tracks',
    method: 'ANNOUNCE',
    body: sdp(...Array<string>(17).fill(audio)),
    status: 400,
    reason: /more than 16/,
  },
  {
    what: 'one control twice',
    method: 'ANNOUNCE',
    body: sdp(video(), video()),
    status: 400,
    reason: /same control/,
  },
  {
    what: 'a section that is none',
    method: 'ANNOUNCE',
    body: sdp('m=video'),
    status: 400,
    reason: /Bad Request: A media/,
  },
  { what: 'RECORD of nothing', method: 'RECORD', status: 455 },
  { what: 'RECORD of what is pulled', method: 'RECORD', url: `${PROXY}/pulled`, status: 405, allow: true },
  {
    what: 'SETUP of nothing',
    method: 'SETUP',
    url: `${LIVE}/streamid=0`,
    headers: { Transport: UDP },
    status: 461,
  },
  { what: 'RECORD before SETUP', after: 'announce', method: 'RECORD', status: 455 },
  { what: 'PAUSE before RECORD', after: 'setup', method: 'PAUSE', status: 455 },
  { what: 'PLAY', after: 'announce', method: 'PLAY', status: 455 },
  {
    what: 'another session',
    after: 'setup',
    method: 'RECORD',
    headers: { Session: 'feedfeedfeedfeed' },
    status: 454,
  },
  {
    what: 'another track',
    after: 'announce',
    method: 'SETUP',
    url: `${LIVE}/streamid=7`,
    headers: { Transport: UDP },
    status: 404,
  },
  {
    what: 'SETUP while it records',
    after: 'record',
    method: 'SETUP',
    url: `${LIVE}/streamid=0`,
    headers: { Transport: UDP },
    status: 455,
  },
  { what: 'ANNOUNCE while it records', after: 'record', method: 'ANNOUNCE', body: sdp(video()), status: 455 },
  {
    what: 'ANNOUNCE of another path',
    after: 'setup',
    method: 'ANNOUNCE',
    url: `${PROXY}/room/1`,
    body: sdp(video()),
    status: 455,
  },
  ...[
    'RTP/AVP;multicast;mode=record',
    'RTP/AVP;unicast;mode=record',
    'RTP/AVP;unicast;client_port=65535;mode=record',
    'RTP/SAVP;unicast;client_port=6000-6001;mode=record',
    'RTP/AVP;unicast;client_port=6000-6001;mode=play',
    'x',
    '',
  ].map((Transport) => ({
    what: `Transport ${Transport}`,
    after: 'announce' as const,
    method: 'SETUP',
    url: `${LIVE}/streamid=0`,
    headers: { Transport },
    status: 461,
  })),
];

t.test('what is wrong is refused with its status, and leaves nothing', async (t) => {
  for (const { what, after, method, url = LIVE, headers, body, status, reason, allow } of WRONG) {
    const w = await start();
    const link = w.viewer();
    if (after === 'record') await publish(t, link);
    else if (after) t.equal((await announce(link)).status, 200);
    if (after === 'setup')
      t.equal((await link.ask('SETUP', `${LIVE}/streamid=0`, { Transport: UDP })).status, 200);
    const answer = await link.ask(
      method,
      url,
      { 'Content-Type': body === undefined ? undefined : 'application/sdp', ...headers },
      body,
    );
    t.equal(answer.status, status, what);
    if (reason) t.match(answer.reason, reason, what);
    if (allow) t.match(answer.headers.get('Allow'), /^(?!.*RECORD).*SETUP/);
    link.close();
    await w.settle();
    t.same(w.left, NOTHING_LEFT, what);
  }
});

t.test('who may publish: address, name and password, rights of viewers are others', async (t) => {
  const user = (name: string) => [{ name, password: 'secret' }];
  const w = await start({
    publishers: ['203.0.113.0/28'],
    publishUsers: user('cam'),
    readUsers: user('eye'),
    authMethods: ['basic'],
  });
  const basic = (name: string) => ({
    Authorization: `Basic ${Buffer.from(`${name}:secret`).toString('base64')}`,
  });
  const stranger = w.viewer('203.0.113.200');
  t.equal((await announce(stranger, sdp(video()), LIVE, basic('cam'))).status, 403);
  const link = w.viewer('203.0.113.3');
  const asked = await announce(link);
  t.equal(asked.status, 401);
  t.match(asked.headers.get('WWW-Authenticate'), /^Basic/);
  t.equal((await announce(link, sdp(video()), LIVE, basic('eye'))).status, 401, 'a viewer is no publisher');
  t.equal((await announce(link, sdp(video()), LIVE, basic('cam'))).status, 200);
  const Transport = UDP;
  t.equal((await link.ask('SETUP', `${LIVE}/streamid=0`, { Transport })).status, 401);
  t.equal((await link.ask('SETUP', `${LIVE}/streamid=0`, { Transport, ...basic('cam') })).status, 200);
  t.equal((await link.ask('RECORD', LIVE, basic('cam'))).status, 200);
  const viewer = w.viewer();
  t.equal((await viewer.ask('DESCRIBE', LIVE, basic('cam'))).status, 401, 'nor the other way round');
  t.equal((await viewer.ask('DESCRIBE', LIVE, basic('eye'))).status, 200);
  await w.proxy.close();
});

t.test('a hook hears that it is about publishing', async (t) => {
  const w = await start({ authHook: 'http://hook.example/' });
  const heard: string[] = [];
  w.askHook = async (_url, { action, method }) => {
    heard.push(`${action} ${method}`);
    return 'allowed';
  };
  await publish(t, w.viewer());
  t.same(heard, ['publish ANNOUNCE'], 'once per connection');
  await w.viewer().ask('DESCRIBE', LIVE);
  t.same(heard.slice(1), ['read DESCRIBE']);
  await w.proxy.close();
});

t.test('take-over: never, from the same address, always', async (t) => {
  for (const [takeOver, same, other] of [
    ['never', 455, 455],
    ['same-address', 200, 455],
    ['always', 200, 200],
  ] as const) {
    const w = await start({ takeOver });
    const first = w.viewer('203.0.113.50');
    await publish(t, first);
    t.equal((await announce(w.viewer('203.0.113.51'))).status, other, `${takeOver}: another address`);
    t.equal((await announce(w.viewer('203.0.113.50', 50_001))).status, same, `${takeOver}: the same address`);
    t.ok(first.open, 'an announcement alone replaces nobody');
    await w.proxy.close();
  }
});

t.test('limits: publishers, ports, resources', async (t) => {
  const w = await start({}, { publications: 2, resources: 1 });
  const links = [1, 2, 3].map(() => w.viewer());
  const rooms = links.map((_, i) => `${PROXY}/room/${i}`);
  const answers = await Promise.all(links.map((link, i) => announce(link, sdp(video()), rooms[i])));
  t.same(
    answers.map(({ status }) => status),
    [200, 200, 503],
  );
  for (const i of [0, 1]) await links[i]!.ask('SETUP', `${rooms[i]}/streamid=0`, { Transport: UDP });
  t.equal((await links[0]!.ask('RECORD', rooms[0]!)).status, 200);
  t.equal((await links[1]!.ask('RECORD', rooms[1]!)).status, 503, 'one resource and no more');
  links[1]!.close();
  await w.settle();
  w.noPorts = true;
  const poor = w.viewer();
  await announce(poor, sdp(video()), rooms[1]);
  for (const Transport of [UDP, TCP])
    t.equal((await poor.ask('SETUP', `${rooms[1]}/streamid=0`, { Transport })).status, 503);
  for (const link of [poor, links[0]!]) link.close();
  await w.settle();
  t.same(w.left, NOTHING_LEFT);
});

t.test('whatever two connections ask in whatever order, no fault of ours, and nothing is left', async (t) => {
  const went = { RECORD: 0, PLAY: 0 };
  const step = fc.record({
    link: fc.nat(1),
    /** Most often in an order that leads somewhere. */
    methods: fc.oneof(
      fc.constant(['ANNOUNCE', 'SETUP', 'RECORD']),
      fc.constant(['SETUP', 'PLAY']),
      fc
        .constantFrom('ANNOUNCE', 'SETUP', 'RECORD', 'PAUSE', 'PLAY', 'DESCRIBE', 'TEARDOWN')
        .map((one) => [one]),
    ),
    track: fc.constantFrom('/streamid=0', '/streamid=0', '/streamid=1', ''),
    Transport: fc.constantFrom(UDP, TCP, 'RTP/AVP;unicast;client_port=5000-5001', 'RTP/AVP/TCP;unicast'),
    body: fc.constantFrom(sdp(video()), sdp(video()), sdp(video(97, 'H265')), sdp(video(), audio), 'nothing'),
    after: fc.constantFrom('', '', '', 'frame', 'close', 'kick', 'second', 'wait'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const w = await start({ takeOver: 'always', sourceHold: '2s' });
      const links = [w.viewer(), w.viewer()];
      const sessions = ['', ''];
      for (const { link: i, methods, track, Transport, body, after } of steps) {
        if (!links[i]!.open) [links[i], sessions[i]] = [w.viewer(), ''];
        const link = links[i]!;
        for (const method of methods) {
          const url = method === 'SETUP' ? `${LIVE}${track}` : LIVE;
          const text = method === 'ANNOUNCE' ? body : '';
          const answered = link.ask(method, url, { Transport, Session: sessions[i] || undefined }, text);
          if (after === 'close' && method === methods.at(-1)) link.close(); // while it is asked
          const answer = await answered;
          if (answer.status === 500) return false;
          if (answer.status === 200 && (method === 'RECORD' || method === 'PLAY')) went[method]++;
          const stays = method === 'TEARDOWN' || answer.status === 454 ? '' : sessions[i]!;
          sessions[i] = answer.headers.get('Session')?.split(';')[0] ?? stays;
        }
        if (after === 'frame') link.frame(0, Buffer.from('x'));
        if (after === 'kick') w.proxy.kick(w.proxy.clients()[0]?.id ?? 0);
        if (after === 'second') await w.advance(1000, 500);
        if (after === 'wait') await w.advance(3000, 500);
      }
      for (const link of links) link.close();
      await w.advance(5000, 500);
      const left = { ...w.left };
      return Object.entries(NOTHING_LEFT).every(([what, none]) => left[what as keyof typeof left] === none);
    }),
    { numRuns: 150 },
  );
  t.ok(went.RECORD > 20, JSON.stringify(went));
});
