// SPDX-License-Identifier: Apache-2.0
// ANNOUNCE, SETUP, RECORD: a publisher becomes the source of a path, is replaced, lost, and comes back under viewers who
// play.

import t from 'tap';
import { buildGoodbye, buildReceiverReport } from '../../../src/control/rtcp/build.js';
import {
  LIVE,
  TCP,
  UDP,
  announce,
  audio,
  publish,
  sdp,
  sessionOf,
  start,
  tableOf,
  video,
  watch,
} from '../../fixtures/fake-publisher.js';
import { NOTHING_LEFT, PROXY, VIEWER_SIDE } from '../../fixtures/fake-world.js';

t.test('by UDP: from SETUP to TEARDOWN, with a viewer', async (t) => {
  const w = await start();
  const viewer = w.viewer();
  t.equal((await viewer.ask('DESCRIBE', LIVE)).status, 404, 'nobody publishes yet');
  const publisher = w.viewer('203.0.113.99');
  const options = await publisher.ask('OPTIONS', LIVE);
  t.match(options.headers.get('Public'), /ANNOUNCE.*RECORD/);
  t.notMatch((await publisher.ask('OPTIONS', `${PROXY}/pulled`)).headers.get('Public'), /RECORD/);

  t.equal((await announce(publisher, sdp(video(), audio))).status, 200);
  t.equal((await viewer.ask('DESCRIBE', LIVE)).status, 404, 'an announcement is no stream');
  const first = await publisher.ask('SETUP', `${LIVE}/streamid=0`, { Transport: UDP });
  t.match(
    first.headers.get('Transport'),
    /^RTP\/AVP;unicast;client_port=6000-6001;server_port=20000-20001;mode="record"$/,
  );
  const Session = sessionOf(first);
  t.equal((await publisher.ask('RECORD', LIVE, { Session })).status, 455, 'a track is missing');
  const Transport = 'RTP/AVP;unicast;client_port=6002-6003;mode=record';
  await publisher.ask('SETUP', `${LIVE}/streamid=1`, { Transport, Session });
  t.equal(w.streams.length, 0, 'nothing is open before RECORD');
  t.equal((await publisher.ask('RECORD', LIVE, { Session })).status, 200);
  t.match(w.streams[0]!.spec, {
    localAddress: VIEWER_SIDE,
    source: { address: '203.0.113.99', rtpPort: 6000, rtcpPort: 6001 },
    encoding: { name: 'H264', payloadType: 96 },
  });
  t.match(w.streams[1]!.spec.source, { address: '203.0.113.99', rtpPort: 6002, rtcpPort: 6003 });

  const described = await viewer.ask('DESCRIBE', LIVE);
  t.match(
    described.body.toString(),
    /a=control:rtsp:\/\/proxy\.example:8554\/live\/streamid=0|a=control:streamid=0/,
  );
  t.notMatch(described.body.toString(), /203\.0\.113/, 'nobody learns where the publisher is');
  await watch(t, viewer);
  t.equal(w.streams[0]!.viewers.size, 1);
  t.match(w.proxy.streams(), [
    { path: '/live', state: 'playing', upstream: '203.0.113.99:50000', viewers: 1, publisher: 1 },
  ]);
  t.match(w.proxy.clients(), [
    { role: 'viewer', state: 'playing' },
    {
      id: 1,
      role: 'publisher',
      state: 'publishing',
      stream: '/live',
      tracks: [{ transport: 'udp', rtpPort: 6000 }, {}],
    },
  ]);
  t.match(w.proxy.paths()[0], { name: 'live', source: 'publish', streams: 1, viewers: 1 });

  await w.advance(8000);
  const reports = w.pairs[0]!.sent.filter(({ to }) => to.port === 6001 && to.address === '203.0.113.99');
  t.ok(reports.length > 0, 'receiver reports go to the publisher');
  t.equal((await viewer.ask('PAUSE', LIVE, { Session: undefined })).status, 454);
  t.equal(
    (await publisher.ask('GET_PARAMETER', LIVE, { Session })).headers.get('Session'),
    `${Session};timeout=60`,
  );
  t.equal((await publisher.ask('TEARDOWN', LIVE, { Session })).status, 200);
  viewer.close();
  await w.settle();
  t.same(w.left, NOTHING_LEFT);
});

t.test('by TCP: frames go through the same ports as UDP, reports come back as frames', async (t) => {
  const w = await start();
  const publisher = w.viewer();
  await publish(t, publisher, { text: sdp(video(), audio), transports: [TCP, TCP.replace('0-1', '2-3')] });
  const [upstream, feeder] = w.pairs;
  t.match(w.streams[0]!.spec, {
    localAddress: '127.0.0.1',
    source: { address: '127.0.0.1', rtpPort: feeder!.rtpPort },
  });
  publisher.frame(0, Buffer.from('rtp'));
  publisher.frame(1, Buffer.from('rtcp'));
  publisher.frame(9, Buffer.from('stray'));
  t.same(
    feeder!.sent.map(({ packet, to }) => [`${packet}`, to.port]),
    [
      ['rtp', upstream!.rtpPort],
      ['rtcp', upstream!.rtcpPort],
    ],
  );
  t.equal(w.proxy.status().refused['interleaved-unknown-channel'], 1);
  feeder!.receiveRtcp(buildReceiverReport(1, 'us', []), { address: '127.0.0.1', port: upstream!.rtcpPort });
  t.same([...publisher.frames[0]!.subarray(0, 2)], [0x24, 1], 'on the channel for RTCP');
  t.match(w.proxy.clients(), [
    { role: 'publisher', tracks: [{ transport: 'tcp', rtpPort: 0, rtcpPort: 1 }, { rtpPort: 2 }] },
  ]);
  publisher.queued = 10_000_000;
  feeder!.receiveRtcp(buildReceiverReport(1, 'us', []), { address: '127.0.0.1', port: upstream!.rtcpPort });
  t.equal(publisher.frames.length, 1, 'who does not read gets no more');
  publisher.close();
  await w.settle();
  t.same(w.left, NOTHING_LEFT);
});

t.test(
  'SETUP without mode, on a connection that has announced, is meant for recording; anew it replaces',
  async (t) => {
    const w = await start();
    const link = w.viewer();
    await announce(link);
    const Transport = 'RTP/AVP/TCP;unicast;interleaved=4-5';
    t.equal((await link.ask('SETUP', `${LIVE}/streamid=0`, { Transport })).status, 200);
    const again = await link.ask('SETUP', `${LIVE}/streamid=0`, { Transport: `RTP/AVP;unicast,${TCP}` });
    t.match(again.headers.get('Transport'), /interleaved=0-1/, 'the first offer cannot be had');
    const offers = 'RTP/AVP/TCP;unicast;interleaved=0-1,RTP/AVP;unicast;client_port=7000-7000';
    const last = await link.ask('SETUP', `${LIVE}/streamid=0`, { Transport: offers.split(',')[1] });
    t.match(last.headers.get('Transport'), /RTCP-mux/i, 'RTP and RTCP on one port');
    t.equal(w.left.pairs, 1, 'what was set up before is closed');
    await link.ask('TEARDOWN', LIVE, { Session: sessionOf(last) });
    t.same(w.left, NOTHING_LEFT);
  },
);

t.test('a second publisher takes over: viewers stay, the first is cut off', async (t) => {
  const w = await start({ takeOver: 'always' });
  const first = w.viewer();
  await publish(t, first);
  const viewer = w.viewer();
  await watch(t, viewer);
  const [stream] = w.streams;
  const second = w.viewer('203.0.113.77');
  await publish(t, second, { transports: [TCP] });
  await w.settle();
  t.notOk(first.open);
  t.ok(viewer.open);
  t.equal(w.streams.length, 1, 'the same stream');
  t.equal(stream!.viewers.size, 1);
  t.equal(stream!.spec.source.address, '127.0.0.1', 'it comes from elsewhere now');
  t.match(w.proxy.streams(), [{ state: 'playing', upstream: '203.0.113.77:50000', viewers: 1 }]);

  const third = w.viewer();
  await publish(t, third, { text: sdp(video(96, 'H265')) });
  await w.settle();
  t.notOk(viewer.open, 'what is something else ends those who watch');
  t.notOk(second.open);
  t.equal((await w.viewer().ask('DESCRIBE', LIVE)).status, 200);
  third.close();
  await w.settle();
  t.same(w.left, NOTHING_LEFT);
});

t.test('both announce, the first to RECORD wins', async (t) => {
  const w = await start({ takeOver: 'never' });
  const links = [w.viewer(), w.viewer()];
  for (const link of links) {
    t.equal((await announce(link)).status, 200);
    await link.ask('SETUP', `${LIVE}/streamid=0`, { Transport: UDP });
  }
  const answers = await Promise.all(links.map((link) => link.ask('RECORD', LIVE)));
  t.same(
    answers.map(({ status }) => status),
    [200, 455],
  );
  t.match(w.proxy.streams(), [{ state: 'playing', publisher: 1 }]);
  await w.proxy.close();
});

t.test('the publisher is lost: viewers are held in silence, and go on when it is back', async (t) => {
  const w = await start({ sourceHold: '30s' });
  const first = w.viewer('203.0.113.60');
  await publish(t, first);
  const viewer = w.viewer();
  await watch(t, viewer);
  const [stream] = w.streams;
  const before = stream!.spec.upstream;
  first.close();
  await w.settle();
  t.match(w.proxy.streams(), [{ state: 'reconnecting', viewers: 1, publisher: null }]);
  t.equal(stream!.spec.source.address, '127.0.0.1', 'what it still sends reaches nobody');
  t.not(stream!.spec.upstream, before);
  await w.advance(10_000, 1000);
  await watch(t, w.viewer(), 5002);
  t.equal(stream!.viewers.size, 2, 'newcomers wait with them');
  await publish(t, w.viewer('203.0.113.61'));
  t.ok(viewer.open);
  t.match(w.proxy.streams(), [{ state: 'playing', viewers: 2 }]);
  t.equal(stream!.spec.source.address, '203.0.113.61');
  t.equal(w.left.pairs, 2, 'and none is left over');
  await w.advance(60_000, 1000);
  await w.proxy.close();
  await w.settle();
  t.same({ ...w.left, deadlines: 0 }, NOTHING_LEFT);
});

t.test(
  'nobody comes back: viewers are told after sourceHold, at once where it is 0, and where none is left',
  async (t) => {
    for (const [sourceHold, heldMs] of [
      ['5s', 5000],
      ['0s', 0],
    ] as const) {
      const w = await start({ sourceHold });
      const publisher = w.viewer();
      await publish(t, publisher);
      const viewer = w.viewer();
      await watch(t, viewer);
      publisher.close();
      await w.settle();
      t.equal(viewer.open, heldMs > 0);
      await w.advance(heldMs + 200);
      t.notOk(viewer.open, `sourceHold ${sourceHold}`);
      t.same(w.left, NOTHING_LEFT);
    }
    const w = await start();
    const publisher = w.viewer();
    await publish(t, publisher);
    const viewer = w.viewer();
    await watch(t, viewer);
    publisher.close();
    await w.settle();
    viewer.close();
    await w.settle();
    t.same(w.left, NOTHING_LEFT, 'the last viewer left while they waited');
  },
);

t.test('a publisher of whom nothing is heard ends; media alone keeps it, and so does RTSP', async (t) => {
  const w = await start();
  const [silent, sends, asks] = [w.viewer(), w.viewer(), w.viewer()];
  await publish(t, silent);
  await publish(t, sends, { url: `${PROXY}/room/1` });
  const Session = await publish(t, asks, { url: `${PROXY}/room/2` });
  const announced = w.viewer();
  await announce(announced, sdp(video()), `${PROXY}/room/3`);
  for (let second = 0; second < 70; second++) {
    w.streams[1]!.packets++;
    if (second % 20 === 0) await asks.ask('OPTIONS', `${PROXY}/room/2`, { Session });
    await w.advance(1000, 500);
  }
  t.same(
    [silent, sends, asks, announced].map(({ open }) => open),
    [false, true, true, false],
  );
  t.match(
    w.proxy.streams().map(({ path }) => path),
    ['/room/1', '/room/2'],
  );
  await w.proxy.close();
});

t.test('PAUSE and RECORD again; kick; reload: who may not publish any more', async (t) => {
  const w = await start();
  const publisher = w.viewer('203.0.113.8');
  const Session = await publish(t, publisher);
  t.equal((await publisher.ask('PAUSE', LIVE, { Session })).status, 200);
  t.match(w.proxy.clients(), [{ state: 'paused' }]);
  t.equal((await publisher.ask('RECORD', LIVE, { Session })).status, 200);
  t.match(w.proxy.clients(), [{ state: 'publishing' }]);
  const live = (more: object) => tableOf({ live: { source: 'publish', ...more } });
  w.proxy.reload(live({ publishers: ['203.0.113.8'], takeOver: 'always' }));
  t.ok(publisher.open, 'what does not concern it');
  w.proxy.reload(live({ publishers: ['203.0.113.9'] }));
  await w.settle();
  t.notOk(publisher.open);
  const next = w.viewer('203.0.113.9');
  await publish(t, next);
  w.proxy.reload(tableOf({ live: { source: 'rtsp://source.example/x' } }));
  await w.settle();
  t.notOk(next.open, 'the path is pulled now');
  w.proxy.reload(live({}));
  const last = w.viewer();
  await publish(t, last);
  t.ok(w.proxy.kick(w.proxy.clients()[0]!.id));
  await w.settle();
  t.notOk(last.open);
  t.same(w.left, NOTHING_LEFT);
});

t.test('the publisher says BYE: no more than that', async (t) => {
  const w = await start();
  await publish(t, w.viewer('203.0.113.4'));
  w.pairs[0]!.receiveRtcp(buildGoodbye(1, 'cam'), { address: '203.0.113.4', port: 6001 });
  await w.advance(5000);
  t.match(w.proxy.streams(), [{ state: 'playing' }], 'its connection decides');
  await w.proxy.close();
});
