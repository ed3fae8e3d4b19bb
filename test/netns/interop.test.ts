// SPDX-License-Identifier: Apache-2.0
// Some cells of `make interop`, so that it cannot rot: one of each peer that is installed, by transports that no other test
// has with a kernel engine; and what comes of an exclusion that does not hold.
import t from 'tap';
import { type Cell, nameOf, readCells } from '../../tools/interop/cell.js';
import { type Ran, runMatrix } from '../../tools/interop/matrix.js';
import { canNetns, canRun } from '../../tools/netns/probe.js';
import { canServe } from './gst-server.js';

t.setTimeout(280_000);

const SAMPLE = [
  'viewer ffmpeg tls xdp ipv6',
  'viewer gstreamer http xdp ipv4',
  'viewer mpv multicast userspace ipv4',
  'source gst-rtsp-server http-tls userspace ipv4',
  'source vlc udp userspace ipv4',
  'publisher gstreamer udp xdp ipv4',
  'source vlc tcp xdp ipv4',
];
const PLAIN = { transport: 'udp', engine: 'userspace', ip: 'ipv4', login: 'none' } as const;
const WRONGLY_EXCLUDED: Cell = {
  ...{ role: 'viewer', peer: 'ffmpeg', ...PLAIN },
  excluded: { against: 'gst-rtsp-server', error: 'anything' },
};
const OTHERWISE: Cell = {
  ...{ role: 'source', peer: 'vlc', ...PLAIN, transport: 'tcp' },
  excluded: { against: 'ffmpeg', error: '499 Teapot' },
};

const skip = canRun('ffmpeg', ['-version']) ?? canRun('openssl', ['version']) ?? canServe() ?? canNetns();

t.test('a sample of the matrix', { skip: skip ?? false }, async (t) => {
  const all = readCells('tools/interop/cells.yaml');
  const sample = SAMPLE.map((name) => {
    const cell = all.find((each) => nameOf(each) === name);
    if (!cell) throw new Error(`there is no cell ${name}`);
    return cell;
  });
  const told: Ran[] = [];
  const ran = await runMatrix([...sample, WRONGLY_EXCLUDED, OTHERWISE], (each) => told.push(each));
  t.same(
    ran.map(({ cell }) => cell),
    [...sample, WRONGLY_EXCLUDED, OTHERWISE],
    'in their order',
  );
  t.ok(told.length >= ran.length);
  for (const { cell, result } of ran.slice(0, SAMPLE.length)) {
    const name = nameOf(cell);
    if (result.is === 'not installed') t.pass(name, { skip: `${cell.peer} is not installed` });
    else if (cell.excluded) t.match(result, { is: 'excluded', error: /461/ }, name);
    else t.match(result, { is: 'ok' }, name);
  }
  const [holds, otherwise] = ran.slice(SAMPLE.length).map(({ result }) => result);
  t.match(holds, { is: 'failed', why: /works with gst-rtsp-server: the exclusion no longer holds/ });
  if (otherwise!.is !== 'not installed')
    t.match(otherwise, { is: 'failed', why: /fails with ffmpeg, but not with 499 Teapot/ });
});
