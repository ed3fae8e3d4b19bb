// SPDX-License-Identifier: Apache-2.0
// What `make bench` makes of its readings: what viewers got between two of them, and when a comparison may be called won.
import t from 'tap';
import { drawSvg } from '../../../tools/bench/plot.js';
import { peersFigures } from '../../../tools/bench/suite/peers/figures.js';
import { perCopy, renderPeers } from '../../../tools/bench/suite/peers/report.js';
import type { Run } from '../../../tools/bench/suite/peers/run.js';
import { progressLine } from '../../../tools/bench/suite/progress.js';
import { THESIS } from '../../../tools/bench/suite/stage.js';
import { slicesTrack } from '../../../tools/camera/slices.js';
import { between } from '../../../tools/load/counted.js';
import type { Counted, CounterRow } from '../../../tools/wire/counter.js';

const row = (port: number, packets: number, more: Partial<CounterRow> = {}): CounterRow => ({
  ...{ address: '192.0.2.1', port, ssrc: 1, packets, bytes: packets * 466, lost: 0, duplicated: 0 },
  ...{ reordered: 0, old: 0, first: 0, firstSeq: 0, lastSeq: 0, ...more },
});
const counted = (...rows: CounterRow[]): Counted => ({
  ...{ rtp: 0, rtcp: 0, other: 0, aggregated: 0, overflow: 0, rows },
});

t.test('between two readings', async (t) => {
  const before = counted(row(20_000, 100, { lost: 3 }), row(20_002, 100));
  const now = counted(
    row(20_000, 150, { lost: 5, old: 1 }),
    row(20_002, 100),
    row(20_004, 7, { reordered: 2 }),
  );
  t.strictSame(between(before, now, 4), {
    ...{ packets: 57, bytes: 57 * 466, nothing: 2, lost: 2, duplicated: 1, reordered: 2, losses: [2, 0, 0] },
  });
  t.throws(
    () => between(before, { ...now, overflow: 1 }, 4),
    /overflow/,
    'a count that is not whole is none',
  );
});

t.test('a made-up stream: packets of one size, evenly or in bursts, one key frame a loop', async (t) => {
  for (const [packetsPerSecond, bytes, burst] of [
    [271, 466, 1],
    [521, 1200, 30],
    [1, 64, 1],
    [100_000, 65_000, 10_000],
  ] as const) {
    const { track, seconds } = slicesTrack({ packetsPerSecond, bytes, burst, once: true });
    const packets = [];
    for (let i = 0, packet; (packet = track.packet(i)); i++) packets.push(packet);
    t.equal(packets.length, Math.round(seconds * packetsPerSecond), `${packetsPerSecond} a second`);
    t.ok(
      packets.every(({ payload }) => payload.length === bytes - 12),
      `${bytes} bytes with the header`,
    );
    t.ok(
      packets.every(({ due }, i) => due === (i - (i % burst)) / packetsPerSecond),
      'those of a burst together, on time',
    );
    t.equal(new Set(packets.map(({ due }) => due)).size, Math.ceil(packets.length / burst), 'so many bursts');
    t.equal(packets[0]!.payload[0]! & 31, 24, 'parameter sets before the key frame');
    t.match(packets.at(-1), { marker: true });
  }
});

t.test('progress is told in minutes and seconds', async (t) => {
  t.equal(
    progressLine({ elapsed: () => 61.4, expected: 899.9 }, 'peers', 'VLC'),
    ' 1:01 of about 15:00  peers: VLC',
  );
});

const ORIGIN = { cores: [0.1, 0.1] };

/** A relay that costs so many us a copy. */
function run(relay: string, us: number, more: Partial<Run> = {}, spreadOf = 0.001): Run {
  const copiesPerSecond = 500 * THESIS.packetsPerSecond;
  const cores = 0.1 + (us * copiesPerSecond) / 1e6;
  const rounds = [-spreadOf, spreadOf].map((off) => ({
    ...{ cores: cores + off, copiesPerSecond, rates: { cores: us + off, switches: 1, machineSwitches: 2 } },
  }));
  const got = { packets: 1, bytes: 1, nothing: 0, lost: 0, duplicated: 0, reordered: 0, losses: [] };
  return {
    ...{
      relay,
      transport: 'udp',
      viewers: 500,
      stream: THESIS,
      joined: 500,
      got,
      copiesPerSecond,
      rssMiB: 1,
    },
    ...{ delivered: rounds, made: rounds },
    ...more,
  };
}

t.test('the origin is taken off what a copy costs', async (t) => {
  t.ok(Math.abs(perCopy(run('x', 2.5), 'made', ORIGIN).mean - 2.5) < 1e-9);
});

t.test('the comparison: not shown, met or missed', async (t) => {
  const ours = [run('rtsp-fanout xdp', 0.4), run('rtsp-fanout tc', 1)];
  const others = [run('mediamtx', 4), run('live555ProxyServer', 5)];
  const told = (runs: Run[], missing: string[] = []) =>
    renderPeers({ seconds: 1, origin: ORIGIN, missing, runs }, []).join('\n');
  const both = told([...ours, ...others]);
  t.match(
    both,
    /500 viewers, rtsp-fanout xdp against the best peer \(mediamtx\), made: 0\.100 ± 0\.002: met/,
  );
  t.match(
    both,
    /500 viewers, rtsp-fanout tc against the best peer \(mediamtx\), made: 0\.250 ± 0\.002: \*\*missed\*\*/,
  );
  const unsteady = told([run('rtsp-fanout xdp', 0.45, {}, 0.1), ...others]);
  t.match(
    unsteady,
    /made: 0\.112 ± 0\.\d+: \*\*cannot be told/,
    'near the target the rounds are too far apart',
  );
  const without = told([...ours, run('GStreamer', 20)], ['mediamtx', 'live555ProxyServer']);
  t.match(without, /made: 0\.020 ± 0\.000: \*\*not shown\*\*: without mediamtx and live555ProxyServer/);
  t.notMatch(without, /: met \(target: at most/, 'whatever the figure');
  const failed = told([
    ...ours,
    others[0]!,
    run('live555ProxyServer', 1, { joined: 9, failure: '9 of 500 joined' }),
  ]);
  t.match(failed, /live555ProxyServer with 500 viewers: 9 of 500 joined/, 'who fails is listed');
  t.match(failed, /best peer \(mediamtx\)/, 'and is nobody to compare with');
  const lossy = told([run('rtsp-fanout xdp', 0.4, { got: { ...ours[0]!.got!, lost: 1 } }), ...others], []);
  t.notMatch(lossy, /rtsp-fanout xdp: met/, 'a lost copy is a miss');
});

t.test('the figure: each relay beside the others, those that failed left out', async (t) => {
  const runs = [
    run('rtsp-fanout xdp', 0.4),
    run('mediamtx', 4, { overloaded: true }),
    run('GStreamer', 2, { failure: 'gone' }),
  ];
  const [figure] = peersFigures({ seconds: 1, origin: ORIGIN, missing: [], runs });
  const svg = await drawSvg(figure!.spec);
  for (const text of ['rtsp-fanout xdp', 'mediamtx (does not keep up)', '500 viewers']) t.match(svg, text);
  t.notMatch(svg, 'GStreamer');
});

t.test('interleaved: against the best peer, by what they cost the machine', async (t) => {
  const tcp = { transport: 'tcp', made: [] } as const;
  const told = (ours: number, theirs: number, off?: number) => {
    const runs = [
      run('rtsp-fanout xdp', ours, tcp, off),
      run('go2rtc', theirs, tcp, off),
      run('mediamtx', 9, tcp),
    ];
    runs.push(run('live555ProxyServer', 9, tcp));
    return renderPeers({ seconds: 1, origin: ORIGIN, missing: [], runs }, []).join('\n');
  };
  t.match(told(1, 2), /best peer \(go2rtc\), machine cost per packet, viewers included: 0\.50 ± 0\.0\d: met/);
  t.match(told(2, 1), /2\.00 ± 0\.0\d: \*\*missed\*\*/);
  t.match(told(1.98, 2, 0.1), /\*\*cannot be told/);

  const byPicture = { ...tcp, stream: { ...THESIS, burst: 11 } } as const;
  const runs = [
    run('rtsp-fanout xdp', 2, tcp),
    run('go2rtc', 1, tcp),
    ...[run('rtsp-fanout xdp', 1, byPicture), run('go2rtc', 2, byPicture)],
    ...['mediamtx', 'live555ProxyServer'].map((name) => run(name, 9, tcp)),
  ];
  const text = renderPeers({ seconds: 1, origin: ORIGIN, missing: [], runs }, []).join('\n');
  t.match(text, /even, rtsp-fanout xdp against .* 2\.00 ± 0\.0\d: \*\*missed/);
  t.match(text, /bursts of 11, rtsp-fanout xdp against .* 0\.50 ± 0\.0\d: met/);
  t.notMatch(text, '### Loss', 'what bursts lose is about UDP');
});
