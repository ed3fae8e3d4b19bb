// SPDX-License-Identifier: Apache-2.0
// make interop without a network: the file of cells, the table and the document.
import t from 'tap';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cell, nameOf, readCells } from '../../../tools/interop/cell.js';
import { document } from '../../../tools/interop/document.js';
import type { Ran } from '../../../tools/interop/matrix.js';
import type { Result } from '../../../tools/interop/result.js';
import { plainTable, sections, summary, tally } from '../../../tools/interop/table.js';

const folder = mkdtempSync(join(tmpdir(), 'rfo-interop-'));
t.teardown(() => rmSync(folder, { recursive: true }));

function cellsOf(yaml: string): Cell[] {
  const file = join(folder, 'cells.yaml');
  writeFileSync(file, yaml);
  return readCells(file);
}

t.test('lists are multiplied out', async (t) => {
  const [first, ...rest] = cellsOf('- { viewer: mpv, transport: [udp, tls], engine: [tc, userspace] }');
  t.same(first, {
    ...{ role: 'viewer', peer: 'mpv', transport: 'udp' },
    ...{ engine: 'tc', ip: 'ipv4', login: 'none' },
  });
  t.same(rest.map(nameOf), [
    'viewer mpv tls tc ipv4',
    'viewer mpv udp userspace ipv4',
    'viewer mpv tls userspace ipv4',
  ]);
  const [other] = cellsOf('- { source: vlc, transport: tcp, login: basic, ip: ipv6, excluded: { against: ffmpeg, error: "4.1" } }'); // prettier-ignore
  t.equal(nameOf(other!), 'source vlc tcp xdp ipv6 basic');
  t.same(other!.excluded, { against: 'ffmpeg', error: '4.1' });
});

t.test('what is wrong with the file is told, with the entry', async (t) => {
  const good = '- { viewer: mpv, transport: udp }\n';
  for (const [yaml, says] of [
    ['a: b', /is no list/],
    [`${good}- mpv`, /entry 2: it is no cell/],
    ['- { viewer: mpv }', /entry 1: transport is one or more of udp, tcp/],
    ['- { viewer: mpv, transport: [udp, carrier-pigeon] }', /transport is one or more/],
    ['- { viewer: mpv, source: vlc, transport: udp }', /it has one of viewer, source, publisher/],
    ['- { viewer: [mpv], transport: udp }', /viewer is the name of one peer/],
    ['- { viewer: mpv, transport: udp, colour: red }', /colour is not known/],
    ['- { viewer: mpv, transport: udp, excluded: { error: x } }', /excluded has "against"/],
    ['- { viewer: mpv, transport: udp, excluded: { against: x, error: "(" } }', /[Rr]egular expression/],
    [good + good, /has "viewer mpv udp xdp ipv4" twice/],
  ] as const)
    t.throws(() => cellsOf(yaml), { message: says }, yaml);
});

const results: Result[] = [
  { is: 'ok' },
  { is: 'failed', why: 'a frame is missing' },
  { is: 'excluded', error: 'no | such thing' },
  { is: 'not installed' },
];
const cells = readCells('tools/interop/cells.yaml');
const ran: Ran[] = cells.map((cell, i) => ({
  cell: { ...cell, excluded: { against: 'vlc', error: 'no' } },
  result: results[i % 4]!,
  seconds: i,
}));

t.test('the table has every cell in its place, within 100 columns', async (t) => {
  const shown = sections(ran);
  t.same(
    shown.map(({ title }) => title),
    ['Viewers', 'Sources', 'Publishers'],
  );
  const text = shown.map(({ rows }) => plainTable(rows)).join('\n');
  t.ok(text.split('\n').every((line) => line.length <= 100));
  for (const word of ['ok', 'FAILED', 'excluded', 'missing']) {
    const count = text.split(/\s+/).filter((each) => each === word).length;
    t.equal(
      count,
      ran.filter((_, i) => ['ok', 'FAILED', 'excluded', 'missing'][i % 4] === word).length,
      word,
    );
  }
  const one = sections(ran.slice(0, 2)).flatMap(({ rows }) => rows);
  t.same(one, [['ffmpeg', 'xdp', 'ipv4', '-', 'ok', 'FAILED', '-', '-', '-', '-']]);
  t.same(tally(ran.slice(0, 6)), { ok: 2, failed: 2, excluded: 1, 'not installed': 1 });
  const second: Ran = { ...ran[0]!, result: { is: 'ok', again: true } };
  t.match(sections([second])[0]!.rows, [['ffmpeg', 'xdp', 'ipv4', '-', 'ok again']]);
  t.match(summary([second, ran[4]!]), /^2 cells: 2 ok \(1 of them the second time\), 0 failed/);
  t.equal(summary(ran.slice(0, 2)), '2 cells: 1 ok, 1 failed, 0 excluded, 0 not installed');
});

t.test('the document has peers, results and what excluded ones said', async (t) => {
  const peers = { 'mpv (viewer)': '0.35.1', 'vlc (viewer)': null };
  const text = document({ at: '2026-01-02 03:04', seconds: 12.4, kernel: '6.1', peers, ran });
  t.match(text, /\| run \| 2026-01-02 03:04 \|/);
  t.match(text, /\| mpv \(viewer\) \| 0\.35\.1 \|/);
  t.match(text, /\| vlc \(viewer\) \| not installed \|/);
  t.match(text, `| ${nameOf(cells[2]!)} | vlc | \`no \\| such thing\` |`);
  t.match(text, /\| ffmpeg \| xdp \| ipv4 \| - \| ok \| FAILED \| excluded \| missing \| ok \| FAILED \|/);
});

t.test('the command line', async (t) => {
  const interop = (...args: string[]) =>
    spawnSync(process.execPath, ['dist/tools/interop/main.js', ...args], { encoding: 'utf8' });
  const list = interop('--list', '--only', 'mpv tls');
  t.equal(list.status, 0);
  t.match(list.stdout.split('\n'), [/^viewer mpv tls xdp ipv4$/]);
  t.notMatch(list.stdout, /udp|vlc/);
  const none = interop('--only', 'mpv carrier-pigeon');
  t.equal(none.status, 2);
  t.match(none.stderr, /^interop: no cell has all of the words 'mpv carrier-pigeon'/);
  t.equal(interop('--no-such').status, 2);
});
