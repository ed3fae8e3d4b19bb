// SPDX-License-Identifier: Apache-2.0
// What Prometheus is told: the text, the families, and the listener.
import t, { type Test } from 'tap';
import { createServer, type AddressInfo } from 'node:net';
import { expose, EXPOSITION_TYPE } from '../../../src/control/api/exposition.js';
import { metrics } from '../../../src/control/api/metrics.js';
import { serveMetrics } from '../../../src/control/api/metrics-server.js';
import type { PathRow, ProxyView, ReportRow, StreamRow } from '../../../src/control/api/types.js';

const PATH = {
  name: 'lobby',
  path: '/lobby',
  source: 'rtsp://192.0.2.7/x',
  trouble: null,
  streams: 1,
  viewers: 2,
};
const paths: PathRow[] = [
  {
    ...{ ...PATH, packets: 2 ** 53 - 1, bytes: 7, drops: 3 },
    ...{ own: 0, mostOwn: 8, staggerMs: null, maxViewers: null },
  },
  {
    ...{ ...PATH, name: 'yard', path: '/yard', trouble: 'no answer', streams: 0, viewers: 0 },
    ...{ packets: 0, bytes: 0, drops: 0, own: 0, mostOwn: 8, staggerMs: null, maxViewers: null },
  },
];

const TRACK = {
  payloadType: 96,
  clockRate: 90_000,
  ssrc: null,
  upstreamPort: 1,
  downstreamPort: 3,
  layers: null,
};
const STREAM: StreamRow = {
  ...{
    path: '/a"b\\c\nd',
    state: 'playing',
    upstream: '192.0.2.7:554',
    publisher: null,
    subflows: null,
    viewers: 2,
  },
  ...{ own: false, open: true, position: null, since: '' },
  tracks: [
    { ...TRACK, media: 'video', packets: 10, bytes: 1000, lost: -1, jitterMs: 2.5, roundTripMs: null },
    { ...TRACK, media: 'audio', packets: 0, bytes: 0, lost: null, jitterMs: null, roundTripMs: 4 },
  ],
};

function report(fraction: number, jitterMs: number | null): ReportRow {
  return { stream: '/a', media: 'video', fraction, jitterMs, roundTripMs: null };
}

function proxy(reports: ReportRow[] = [], streams: StreamRow[] = [STREAM]): ProxyView {
  const status = { why: '', listen: '', source: '', connections: 4, streams: 1, facts: {} };
  return {
    clients: () => [],
    reports: () => reports,
    streams: () => streams,
    paths: () => paths,
    status: () => ({
      ...status,
      engine: 'tc',
      uptimeMs: 1500,
      viewers: 3,
      drops: { malformed: 2 },
      refused: {},
    }),
    kick: () => false,
    flush: () => 0,
  };
}

const told = (view: ProxyView): string[] => expose(metrics(view, '1.2.3')).split('\n');

t.test('the text: help and type before the samples, quotes, backslashes and line ends escaped', (t) => {
  const labels = { path: 'a"b\\c\nd' };
  t.equal(
    expose([
      { name: 'x_total', type: 'counter', help: 'one\\two\nthree "four"', samples: [{ labels, value: 1.5 }] },
      { name: 'nothing', type: 'gauge', help: '', samples: [] },
      { name: 'y', type: 'gauge', help: 'Y.', samples: [{ value: -3 }] },
    ]),
    '# HELP x_total one\\\\two\\nthree "four"\n# TYPE x_total counter\nx_total{path="a\\"b\\\\c\\nd"} 1.5\n' +
      '# HELP y Y.\n# TYPE y gauge\ny -3\n',
  );
  t.end();
});

t.test('what it tells of the proxy, its paths and its streams', (t) => {
  const lines = told(proxy());
  for (const line of [
    'rtsp_fanout_info{version="1.2.3",engine="tc"} 1',
    'rtsp_fanout_uptime_seconds 1.5',
    'rtsp_fanout_connections 4',
    'rtsp_fanout_viewers 3',
    'rtsp_fanout_drops_total{reason="malformed"} 2',
    'rtsp_fanout_path_up{path="/lobby"} 1',
    'rtsp_fanout_path_up{path="/yard"} 0',
    'rtsp_fanout_path_viewers{path="/lobby"} 2',
    'rtsp_fanout_sent_packets_total{path="/lobby"} 9007199254740991',
    'rtsp_fanout_unsent_packets_total{path="/lobby"} 3',
    'rtsp_fanout_stream_playing{stream="/a\\"b\\\\c\\nd"} 1',
    'rtsp_fanout_received_packets_total{stream="/a\\"b\\\\c\\nd",track="0",media="video"} 10',
    'rtsp_fanout_received_lost_packets{stream="/a\\"b\\\\c\\nd",track="0",media="video"} -1',
    'rtsp_fanout_received_jitter_seconds{stream="/a\\"b\\\\c\\nd",track="0",media="video"} 0.0025',
    'rtsp_fanout_source_round_trip_seconds{stream="/a\\"b\\\\c\\nd",track="1",media="audio"} 0.004',
  ])
    t.ok(lines.includes(line), line);
  t.notOk(
    lines.some((line) => line.startsWith('rtsp_fanout_refused_total')),
    'nothing was refused',
  );
  t.notOk(
    lines.some((line) => line.startsWith('rtsp_fanout_viewer_loss')),
    'nobody has reported',
  );
  t.end();
});

t.test('of several streams of a name, the one that newcomers join', (t) => {
  const streams = [
    { ...STREAM, path: '/film', open: false, viewers: 1 },
    { ...STREAM, path: '/film', viewers: 5 },
    { ...STREAM, path: '/film', open: false, own: true, viewers: 1 },
  ];
  const lines = told(proxy([], streams)).filter((line) => line.startsWith('rtsp_fanout_stream_viewers'));
  t.same(lines, ['rtsp_fanout_stream_viewers{stream="/film"} 5']);
  t.end();
});

t.test('quantiles of what viewers report', (t) => {
  const reports = Array.from({ length: 10 }, (_, i) => report(i / 100, i === 0 ? null : i));
  const lines = told(proxy(reports));
  const of = (name: string) =>
    lines.flatMap(
      (line) =>
        new RegExp(`^rtsp_fanout_${name}\\{stream="/a",media="video",quantile="(.*)"\\} (.*)$`)
          .exec(line)
          ?.slice(1) ?? [],
    );
  t.same(of('viewer_loss_ratio'), ['0.5', '0.04', '0.9', '0.08', '0.99', '0.09', '1', '0.09']);
  t.same(
    of('viewer_jitter_seconds'),
    ['0.5', '0.005', '0.9', '0.009', '0.99', '0.009', '1', '0.009'],
    'of nine',
  );
  t.same(of('viewer_round_trip_seconds'), [], 'nobody knows any');
  t.end();
});

t.test('over HTTP: /metrics, to GET, and nothing else', async (t) => {
  const port = await free(t);
  const server = await serveMetrics({ host: undefined, port }, proxy(), '1.2.3');
  t.teardown(() => server.close());
  const at = `http://127.0.0.1:${port}`;
  const answer = await fetch(`${at}/metrics`);
  t.equal(answer.headers.get('content-type'), EXPOSITION_TYPE);
  t.match(await answer.text(), /^# HELP rtsp_fanout_info [^]*\nrtsp_fanout_viewers 3\n/);
  for (const [method, path] of [
    ['GET', '/clients'],
    ['POST', '/flush'],
    ['POST', '/metrics'],
  ] as const) {
    const refused = await fetch(`${at}${path}`, { method });
    t.equal(refused.status, 404, `${method} ${path}`);
    t.equal(await refused.text(), 'GET /metrics is all there is\n');
  }
  await t.rejects(serveMetrics({ host: '127.0.0.1', port }, proxy(), '1'), {
    message: new RegExp(`^metrics: .*EADDRINUSE.* 127\\.0\\.0\\.1:${port}$`),
  });
});

async function free(t: Test): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  t.ok(port);
  return port;
}
