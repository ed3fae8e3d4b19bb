// SPDX-License-Identifier: Apache-2.0
// RTP and RTCP on one port (RFC 5761), towards viewers and towards the source.
import t from 'tap';
import { buildReceiverReport, buildSenderReport } from '../../../src/control/rtcp/build.js';
import { parseCompound } from '../../../src/control/rtcp/compound.js';
import { response } from '../../../src/control/rtsp/message.js';
import { fakeSource } from '../../fixtures/fake-source.js';
import { FakeWorld, PROXY } from '../../fixtures/fake-world.js';
import { block, SSRC, VIEWER_SSRC, watching } from '../../fixtures/watching.js';
for (const [name, Transport] of [
  ['RTCP-mux', 'RTP/AVP;unicast;client_port=40000;RTCP-mux'],
  ['one port twice', 'RTP/AVP;unicast;client_port=40000-40000,RTP/AVP;unicast;client_port=40000-40001'],
] as const)
  t.test(`a viewer that multiplexes RTCP with RTP: ${name}`, async (t) => {
    const world = await FakeWorld.start({ script: fakeSource() });
    const viewer = world.viewer();
    const { headers } = await viewer.ask('SETUP', `${PROXY}/x/v`, { Transport });
    const [, downstream] = world.pairs;
    const { rtpPort } = downstream!;
    t.match(
      headers.get('Transport'),
      `RTP/AVP;unicast;client_port=40000-40000;server_port=${rtpPort}-${rtpPort};`,
    );
    t.match(headers.get('Transport'), ';RTCP-mux');
    await viewer.ask('PLAY', `${PROXY}/x/`, { Session: headers.get('Session')!.split(';')[0] });
    t.match([...world.streams[0]!.viewers.values()], [{ rtpPort: 40_000, rtcpPort: 40_000 }]);
    world.streams[0]!.received = {
      ...{ ssrc: SSRC, extendedMaxSeq: 9, baseSeq: 1, received: 9, jitter: 0, timestamp: 0 },
      arrivalNs: world.nowNs,
    };
    const from = { address: viewer.remote.address, port: 40_000 };
    const report = buildReceiverReport(VIEWER_SSRC, 'v', [block()]);
    downstream!.receiveRtcp(report, from);
    downstream!.receiveRtp(report, { ...from, port: 40_001 });
    downstream!.receiveRtp(Buffer.from('80600001000000010000000100000000', 'hex'), from); // it opens its firewall
    t.same(world.streams[0]!.losses, []);
    t.match(world.proxy.status().refused, { 'viewer-rtcp-from-stranger': 2 });
    downstream!.receiveRtp(report, from);
    t.same(world.streams[0]!.losses, [{ fraction: 64, cumulative: -3, jitter: 900 }]);
    world.proxy.kick(world.proxy.clients()[0]!.id);
    await world.settle();
    t.equal(downstream!.sentFromRtp.length, 1, 'BYE goes the same way');
    t.same(downstream!.sent[0]!.to, from);
    await world.proxy.close();
  });

t.test('a viewer without it may not have its reports at the port for RTP', async (t) => {
  const { world, viewer, downstream, stream } = await watching();
  const report = buildReceiverReport(VIEWER_SSRC, 'v', [block()]);
  for (const port of [40_000, 40_001])
    downstream.receiveRtp(report, { address: viewer.remote.address, port });
  t.same(stream.losses, []);
  await world.proxy.close();
});

t.test(
  'a source that offers to multiplex is asked for it, and served without where it does not',
  async (t) => {
    const SETUP = ({ headers }: { headers: { get(name: string): string | undefined } }) =>
      response(200, [
        ['Transport', `${headers.get('Transport')!.split(',')[0]};server_port=6000`],
        ['Session', 's'],
      ]);
    const { world, upstream, stream } = await watching({ video: ['a=rtcp-mux'], answers: { SETUP } });
    const asked = world.source.requests.find(({ method }) => method === 'SETUP')!.headers.get('Transport')!;
    const { rtpPort: port } = upstream;
    t.equal(
      asked,
      `RTP/AVP;unicast;client_port=${port}-${port};RTCP-mux,RTP/AVP;unicast;client_port=${port}-${port + 1}`,
    );
    t.match(stream.spec, {
      source: { rtpPort: 6000, rtcpPort: 6000 },
      upstream: { rtpPort: port, rtcpPort: port },
    });
    await world.advance(8000);
    t.ok(upstream.sent.length > 0);
    t.equal(upstream.sent.length, upstream.sentFromRtp.length, 'our reports go from the port for RTP');
    t.same(upstream.sent[0]!.to, { address: '192.0.2.1', port: 6000 });
    const info = { ssrc: SSRC, ntp: 1n << 32n, rtpTimestamp: 1, packetCount: 1, octetCount: 1 };
    const before = upstream.sent.length;
    upstream.receiveRtp(buildSenderReport(info, 'source'), { address: '192.0.2.1', port: 6000 });
    await world.advance(8000);
    const compound = parseCompound(upstream.sent[before]!.packet);
    const [rr] = compound.ok ? compound.packets : [];
    t.match(rr, { blocks: [{ lsr: 0x10000 }] }, 'its sender report was heard there');
    await world.proxy.close();

    const refusing = await watching({
      video: ['a=rtcp-mux'],
      answers: {
        SETUP: ({ headers }) =>
          response(200, [
            ['Transport', `${headers.get('Transport')!.split(',')[1]};server_port=6000-6001`],
            ['Session', 's'],
          ]),
      },
    });
    t.match(refusing.stream.spec, {
      source: { rtpPort: 6000, rtcpPort: 6001 },
      upstream: { rtcpPort: 20_001 },
    });
    await refusing.world.proxy.close();
  },
);
