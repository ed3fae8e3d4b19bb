// SPDX-License-Identifier: Apache-2.0
// proxyctl's tables and numbers.

import t from 'tap';
import fc from 'fast-check';
import type { ClientRow, StatusRow, StreamRow } from '../../../src/control/api/types.js';
import { clientsTable } from '../../../src/proxyctl/commands/clients.js';
import { layerRows, layersTable } from '../../../src/proxyctl/commands/layers.js';
import { leftoversText } from '../../../src/proxyctl/commands/leftovers.js';
import { statusText } from '../../../src/proxyctl/commands/status.js';
import { streamsTable } from '../../../src/proxyctl/commands/streams.js';
import { printable, shorten, table } from '../../../src/proxyctl/table.js';
import { bytes, count, duration, milliseconds, percent } from '../../../src/proxyctl/units.js';

const NOW = Date.parse('2026-01-01T12:00:00Z');

const track = {
  media: 'video',
  transport: 'udp',
  rtpPort: 5000,
  rtcpPort: 5001,
  group: null,
  servedBy: 'kernel',
  packets: 12_345,
  bytes: 5_678_901,
  drops: 3,
  queue: null,
  loss: { fraction: 0.125, cumulative: 7, jitterMs: 1.25, roundTripMs: 0.4, at: '2026-01-01T11:59:58Z' },
  extended: null,
  layers: null,
} as const;
const client: ClientRow = {
  id: 7,
  role: 'viewer',
  address: '192.0.2.17',
  port: 51_234,
  stream: '/camera',
  state: 'playing',
  since: '2026-01-01T11:57:50Z',
  session: 'abc',
  subflows: null,
  tracks: [track, { ...track, media: 'audio', packets: 655, loss: null }],
};
const stream: StreamRow = {
  path: '/camera',
  state: 'playing',
  upstream: '198.51.100.4:554',
  subflows: null,
  own: false,
  open: true,
  position: null,
  publisher: null,
  viewers: 90,
  since: '2026-01-01T09:00:00Z',
  tracks: [
    {
      media: 'video',
      payloadType: 96,
      clockRate: 90_000,
      ssrc: '0badcafe',
      packets: 1_000_000,
      bytes: 466_000_000,
      lost: -1,
      jitterMs: null,
      roundTripMs: 12,
      upstreamPort: 40_000,
      downstreamPort: 40_002,
      layers: null,
    },
  ],
};

t.test('units', async (t) => {
  const cases: [string, string][] = [
    [count(0), '0'],
    [count(999), '999'],
    [count(1000), '1.0k'],
    [count(12_345), '12.3k'],
    [count(99_950), '100k'],
    [count(999_499), '999k'],
    [count(999_500), '1.0M'],
    [count(-1234), '-1.2k'],
    [bytes(0), '0 B'],
    [bytes(512), '512 B'],
    [bytes(5_678_901), '5.7 MB'],
    [bytes(1e18), '1.0 EB'],
    [duration(-5), '0s'],
    [duration(59_999), '59s'],
    [duration(130_000), '2m10s'],
    [duration(3 * 3_600_000 + 120_000), '3h02m'],
    [duration(12 * 86_400_000 + 4 * 3_600_000), '12d04h'],
    [percent(0), '0%'],
    [percent(0.125), '12.5%'],
    [percent(1), '100%'],
    [milliseconds(null), '-'],
    [milliseconds(1.25), '1.3 ms'],
    [milliseconds(340.4), '340 ms'],
  ];
  for (const [is, wanted] of cases) t.equal(is, wanted);
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 53 - 1 }),
      (n) => count(n).length <= 5 && bytes(n).length <= 7,
    ),
  );
});

t.test('clients: one line per viewer, tracks taken together', async (t) => {
  t.equal(clientsTable([], NOW, 80, 'tc'), 'No viewers.');
  const [head = '', line = ''] = clientsTable([client], NOW, Infinity, 'tc').split('\n');
  t.match(head, /^ID +VIEWER +PORT +STREAM +STATE +SINCE +PKTS +BYTES +DROPS +LOSS +JITTER +RTT$/);
  t.match(
    line,
    /^ 7 +192\.0\.2\.17 +51234 +\/camera +playing +2m10s +13\.0k +11\.4 MB +6 +12\.5% +1\.3 ms +0\.4 ms$/,
  );
  const quiet = { ...client, tracks: [{ ...track, loss: null, servedBy: null }] };
  t.match(clientsTable([quiet], NOW, Infinity, 'tc'), / - +- +-$/);
  const groups = ['239.192.0.4', '239.192.0.5'];
  const many = { ...client, tracks: groups.map((group) => ({ ...track, group })) };
  const [title, one, two] = clientsTable([client, many], NOW, Infinity, 'tc').split('\n');
  t.match(title, / PORT +GROUP +STREAM /, 'groups are shown when anybody is in one');
  t.match([one, two], [/ 51234 +- +\/camera /, / 51234 +239\.192\.0\.4 239\.192\.0\.5 +\/camera /]);
  const both = [client, { ...client, subflows: 2 }];
  const [titles, plain, multipath] = clientsTable(both, NOW, 200, 'tc').split('\n');
  t.match(titles, / PORT +PATHS +STREAM /, 'paths are shown when any connection is multipath TCP');
  t.match([plain, multipath], [/ 51234 +- +\/camera /, / 51234 +2 +\/camera /]);
  const upstream = streamsTable([{ ...stream, subflows: 2 }], NOW, Infinity).split('\n');
  t.match(upstream, [/ PATHS +FROM /, / 2 +198\.51/]);
});

t.test('clients: who sends is shown where a kernel engine leaves a viewer to the process', async (t) => {
  const served = (servedBy: 'kernel' | 'userspace', transport: 'udp' | 'tcp' = 'udp') => ({
    ...client,
    tracks: [{ ...track, servedBy, transport }],
  });
  const rows = [served('kernel'), served('userspace')];
  const [head, ...lines] = clientsTable(rows, NOW, Infinity, 'tc').split('\n');
  t.match(head, / RTT +SENT BY$/);
  t.match(lines, [/ kernel$/, / userspace$/]);
  t.match(clientsTable(rows, NOW, 60, 'xdp'), /SENT BY\n[^]* userspace$/, 'on a narrow terminal, too');
  t.notMatch(clientsTable([served('userspace')], NOW, Infinity, 'userspace'), /SENT BY/);
  t.notMatch(clientsTable([served('userspace', 'tcp')], NOW, Infinity, 'tc'), /SENT BY/, 'its connection');
});

t.test('layers: columns for viewers of layered streams, a line for each layer that there is', async (t) => {
  const of = (allowance: number, wanted: number, bandwidth: number | null) => {
    const layers = { policy: 'aimd', allowance, wanted, bandwidth, changes: 1, thinned: 2 } as const;
    return { ...client, tracks: [{ ...track, layers }] };
  };
  const [title, ...lines] = clientsTable([of(2, 2, 850_000), of(7, 7, null), of(0, 7, 1e6), client], NOW, Infinity, 'tc').split('\n'); // prettier-ignore
  t.match(title, / DROPS +LAYER +BIT\/S +LOSS /);
  t.match(lines, [
    / 3 +2 +850k +12.5% /,
    / 3 +all +- +12.5% /,
    / 3 +0<all +1\.0M +12.5% /,
    / 6 +- +- +12.5% /,
  ]);
  t.ok(title!.length > 80 && clientsTable([of(0, 7, 1e6)], NOW, 80, 'tc').split('\n')[0]!.length <= 80);

  const rates = [300_000, 0, 100_000, 0, 0, 0, 0, 0];
  const layered = {
    ...stream,
    tracks: [{ ...stream.tracks[0]!, layers: { notion: 'temporal', rates } as const }],
  };
  const clients = [of(2, 2, null), of(7, 7, null), of(1, 1, null), { ...of(0, 0, null), stream: '/other' }];
  const rows = layerRows(layered, clients);
  t.same(rows, [
    { media: 'video', notion: 'temporal', layer: 0, rate: 300_000, cumulative: 300_000, viewers: 1 },
    { media: 'video', notion: 'temporal', layer: 2, rate: 100_000, cumulative: 400_000, viewers: 2 },
  ]);
  t.match(layersTable(rows, 80).split('\n'), [
    /^MEDIA +LAYER +KIND +BIT\/S +UP TO HERE +VIEWERS$/,
    /^video +0 +temporal +300k +300k +1$/,
    /^video +2 +temporal +100k +400k +2$/,
  ]);
  t.match(layersTable(layerRows(stream, clients), 80), /^No layers/);
});

t.test('every table fits 80 columns, whatever the addresses and paths are', async (t) => {
  const wide = {
    ...client,
    id: 12_345,
    address: '2001:db8:1234:5678:9abc:def0:1234:5678',
    stream: '/a/very/long/path/to/one/of/many/cameras?channel=1&subtype=0',
  };
  const widths = (text: string) => text.split('\n').map((line) => line.length);
  t.ok(Math.max(...widths(clientsTable([client, wide], NOW, 80, 'tc'))) <= 80);
  t.match(clientsTable([wide], NOW, 80, 'tc'), / 2001.*….*5678 /, 'both ends of an address stay');
  t.ok(
    Math.max(...widths(streamsTable([{ ...stream, path: wide.stream, state: 'connecting' }], NOW, 80))) <= 80,
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), fc.integer({ min: 20, max: 200 }), (text, width) => {
      const out = table([text], [{ title: 'A', atLeast: 4, cell: (row) => row }], width);
      return widths(out).every((length) => length <= width) && out.split('\n').length === 2;
    }),
  );
});

t.test('streams: a line per track', async (t) => {
  t.match(streamsTable([], NOW, 80), /^Nothing is open upstream/);
  const text = streamsTable([{ ...stream, tracks: [stream.tracks[0]!, stream.tracks[0]!] }], NOW, Infinity);
  t.match(
    text.split('\n')[1],
    /^\/camera +playing +90 +3h00m +video +1\.0M +466 MB +-1 +- +12 ms +198\.51\.100\.4:554 +0badcafe$/,
  );
  t.match(text.split('\n')[2], /^ +video /);
  t.match(streamsTable([{ ...stream, tracks: [] }], NOW, 80), /\/camera .* - /);
});

t.test('leftovers: what, of whom, since when', async (t) => {
  t.equal(leftoversText([], false, 80), 'Nothing is left of a killed proxy.');
  const row = {
    port: 8554,
    pid: 77,
    alive: false,
    silentSeconds: 70,
    devices: ['eth0'],
    streams: 1,
    viewers: [],
  };
  const text = leftoversText([row], true, 80);
  t.match(text, /^Removed:\nPORT +PID +SILENT +STREAMS +DEVICES +VIEWERS\n8554 +77 +1m10s +1 +eth0 +-$/);
  t.match(leftoversText([row], false, 80), /^Left in the kernel:/);
});

t.test('status: facts, and only what was dropped', async (t) => {
  const row: StatusRow = {
    engine: 'tc',
    why: 'root',
    listen: '0.0.0.0:8554',
    source: 'rtsp://198.51.100.4/',
    uptimeMs: 61_000,
    connections: 4,
    viewers: 3,
    streams: 1,
    drops: { 'not-source': 2, malformed: 0 },
    refused: {},
    facts: { 'tickets out': 0 },
  };
  const text = statusText(row);
  t.match(text, /^datapath +tc: root$/m);
  t.match(text, /^dropped +not-source 2$/m);
  t.match(text, /^refused +nothing$/m);
  t.match(text, /^up +1m01s$/m);
  t.match(text, /^tickets out +0$/m);
});

t.test('control characters from the network do not reach the terminal', async (t) => {
  t.equal(printable('/a\u001b[31m\r\n\u009bb'), '/a?[31m???b');
  t.notMatch(clientsTable([{ ...client, stream: '/\u001b]0;x\u0007' }], NOW, 80, 'tc'), /[\u001b\u0007]/);
  t.equal(shorten('abcdefgh', 5), 'ab…gh');
  t.equal(shorten('abc', 3), 'abc');
});
