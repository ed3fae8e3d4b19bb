// SPDX-License-Identifier: Apache-2.0
// The tables of `clients` and `streams` in 80 columns, whatever they have to show: what stays, and what can be read of it.

import t from 'tap';
import type { ClientRow, StreamRow } from '../../../src/control/api/types.js';
import { clientsTable } from '../../../src/proxyctl/commands/clients.js';
import { streamsTable } from '../../../src/proxyctl/commands/streams.js';
import { outputWidth } from '../../../src/proxyctl/context.js';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const LONG_AGO = '2020-01-01T12:00:00Z';
const WIDTH = 80;

type ClientTrack = ClientRow['tracks'][number];

const track: ClientTrack = {
  ...{ media: 'video', transport: 'udp', rtpPort: 50_000, rtcpPort: 50_001, group: null, servedBy: 'kernel' },
  ...{ packets: 123_456_789, bytes: 987_654_321, drops: 12_345, queue: null, extended: null, layers: null },
  loss: { fraction: 0.125, cumulative: 7, jitterMs: 12.25, roundTripMs: 10.4, at: LONG_AGO },
};
const client: ClientRow = {
  ...{ id: 3, role: 'viewer', address: '192.168.10.200', port: 51_234, stream: '/building-2/camera-043' },
  ...{ state: 'playing', since: '2026-01-01T11:57:50Z', session: 'abc', subflows: null, tracks: [track] },
};
const streamTrack: StreamRow['tracks'][number] = {
  ...{ media: 'application', payloadType: 96, clockRate: 90_000, ssrc: '0badcafe', packets: 123_456_789 },
  ...{ bytes: 987_654_321, lost: -12_345, jitterMs: 12_345, roundTripMs: 12.5, upstreamPort: 40_000 },
  ...{ downstreamPort: 40_002, layers: null },
};
const stream: StreamRow = {
  ...{ path: '/building-2/camera-043', state: 'playing', upstream: '198.51.100.4:554', publisher: null },
  ...{ subflows: null, viewers: 9_999, own: false, open: true, position: null, since: LONG_AGO },
  tracks: [streamTrack],
};

/** Each makes columns appear, or wide. */
const OF_CLIENTS: Readonly<Record<string, (row: ClientRow) => ClientRow>> = {
  published: (row) => ({ ...row, role: 'publisher', state: 'publishing' }),
  interleaved: withTrack({ transport: 'tcp', queue: { bytes: 123_456, picturesDropped: 7 } }),
  multicast: withTrack({ transport: 'multicast', group: '239.192.100.104' }),
  multipath: (row) => ({ ...row, subflows: 2 }),
  layered: withTrack({
    layers: { policy: 'aimd', allowance: 0, wanted: 7, bandwidth: 1_234_567, changes: 1, thinned: 2 },
  }),
  fromUserspace: withTrack({ servedBy: 'userspace' }),
  old: (row) => ({ ...row, id: 1_234_567, since: LONG_AGO }),
  longNames: (row) => ({
    ...row,
    address: '2001:db8:1234:5678:9abc:def0:1234:5678',
    stream: '/a/very/long/path/to/one/of/many/cameras?channel=1&subtype=0',
  }),
};
const OF_STREAMS: Readonly<Record<string, (row: StreamRow) => StreamRow>> = {
  recorded: (row) => ({ ...row, position: 100_000 }),
  multipath: (row) => ({ ...row, subflows: 2 }),
  earlier: (row) => ({ ...row, state: 'reconnecting', open: false }),
  longNames: (row) => ({ ...row, path: '/a/very/long/path/to/one/of/many/cameras?channel=1&subtype=0' }),
};

function withTrack(more: Partial<ClientTrack>): (row: ClientRow) => ClientRow {
  return (row) => ({ ...row, tracks: [...row.tracks, { ...track, ...more }] });
}

/** The row as it is, and with each choice of what makes it wider. */
function* combinations<Row>(row: Row, wider: Readonly<Record<string, (row: Row) => Row>>) {
  const all = Object.entries(wider);
  for (let chosen = 0; chosen < 2 ** all.length; chosen++) {
    const some = all.filter((_, bit) => (chosen >> bit) & 1);
    yield { name: some.map(([name]) => name).join(' '), row: some.reduce((row, [, more]) => more(row), row) };
  }
}

t.test('clients: no line is longer, and who, what and how well stays', async (t) => {
  const wrong = [...combinations(client, OF_CLIENTS)].flatMap(({ name, row }) => {
    const table = clientsTable([row, client], NOW, WIDTH, 'tc');
    return [
      ...faultsOf(table, ['STREAM', 'STATE', 'DROPS', 'LOSS']),
      ...(table.includes(client.address) ? [] : ['an IPv4 address is shortened']),
      ...(table.includes('SENT BY') === name.includes('fromUserspace') ? [] : ['SENT BY']),
    ].map((fault) => `${name}: ${fault}`);
  });
  t.same(wrong, []);
});

t.test('streams: no line is longer, and what comes how well stays', async (t) => {
  const stays = ['STREAM', 'STATE', 'VIEWERS', 'MEDIA', 'PKTS', 'LOST', 'JITTER'];
  const wrong = [...combinations(stream, OF_STREAMS)].flatMap(({ name, row }) =>
    faultsOf(streamsTable([row, stream], NOW, WIDTH), stays).map((fault) => `${name}: ${fault}`),
  );
  t.same(wrong, []);
});

function faultsOf(table: string, stays: readonly string[]): string[] {
  const lines = table.split('\n');
  const titles = lines[0]!.split(/ {2,}/);
  return [
    ...lines.filter(({ length }) => length > WIDTH).map(({ length }) => `a line of ${length}`),
    ...stays.filter((title) => !titles.includes(title)).map((title) => `no ${title}`),
    ...(/\/buil\S+-043/.test(table) ? [] : ['the camera cannot be told']),
  ];
}

t.test('what can be missed goes before anything is shortened', async (t) => {
  const [head, line] = clientsTable([OF_CLIENTS['interleaved']!(client)], NOW, WIDTH, 'tc').split('\n');
  t.match(line, / 192\.168\.10\.200 +\/building-2\/camera-043 +playing /);
  t.match(head, / JITTER$/, 'README.md promises it');
  t.notMatch(head, /SINCE|BYTES|QUEUE/);
  const layered = clientsTable([OF_CLIENTS['layered']!(client)], NOW, WIDTH, 'tc');
  t.match(layered, /LAYER +LOSS +JITTER\n/);
});

t.test('how wide the output is', async (t) => {
  t.equal(outputWidth(100, '80'), 100, 'the terminal itself');
  t.equal(outputWidth(undefined, '80'), 80, 'watch(1) says it');
  t.equal(outputWidth(0, '80'), 80, 'a terminal that does not know');
  for (const no of [undefined, '', '0', '-1', 'wide', '1e3']) t.equal(outputWidth(undefined, no), Infinity);
});
