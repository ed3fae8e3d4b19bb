// SPDX-License-Identifier: Apache-2.0
// What is going on, as families for Prometheus. Counters are of paths of the configuration and of streams, never of single
// viewers: thousands of them, each with series of its own, would be more than a server of metrics likes. docs/metrics.md has
// what to ask for.

import type { Family, Sample } from './exposition.js';
import type { PathRow, ProxyView, ReportRow, StatusRow, StreamRow } from './types.js';

const QUANTILES = [0.5, 0.9, 0.99, 1];

export function metrics(proxy: ProxyView, version: string): Family[] {
  const status = proxy.status();
  const streams = proxy.streams();
  return [
    ...ofProxy(status, version),
    ...ofPaths(proxy.paths()),
    ...ofStreams(streams),
    ...ofTracks(streams),
    ...ofViewers(proxy.reports()),
  ];
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name: `rtsp_fanout_${name}`, type: 'gauge', help, samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name: `rtsp_fanout_${name}_total`, type: 'counter', help, samples };
}

/** One sample for each entry. */
function by(label: string, counts: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(counts).map(([name, value]) => ({ labels: { [label]: name }, value }));
}

function ofProxy(status: StatusRow, version: string): Family[] {
  const { engine, uptimeMs, connections, viewers, drops, refused } = status;
  const { user, system } = process.cpuUsage();
  return [
    gauge('info', 'Version, and who copies the packets; always 1.', [
      { labels: { version, engine }, value: 1 },
    ]),
    gauge('uptime_seconds', 'Since the proxy has served.', [{ value: uptimeMs / 1000 }]),
    gauge('connections', 'RTSP connections of viewers.', [{ value: connections }]),
    gauge('viewers', 'Sessions of viewers, playing or not.', [{ value: viewers }]),
    counter(
      'drops',
      'Packets and copies that the datapath did not send (docs/drops.md).',
      by('reason', drops),
    ),
    counter('refused', 'What the control plane refused: connections, requests, RTCP.', by('reason', refused)),
    counter('cpu_seconds', "Processor time of the proxy's process, without the kernel's copying.", [
      { value: (user + system) / 1e6 },
    ]),
    gauge('resident_bytes', "Memory of the proxy's process.", [{ value: process.memoryUsage.rss() }]),
  ];
}

/** Families with a sample for each row, where the value is known. */
function over<Row>(rows: readonly { readonly labels: Sample['labels'] & object; readonly row: Row }[]) {
  return (make: typeof gauge, name: string, help: string, value: (row: Row) => number | null): Family =>
    make(
      name,
      help,
      rows.flatMap(({ labels, row }) => {
        const known = value(row);
        return known === null ? [] : [{ labels, value: known }];
      }),
    );
}

function ofPaths(paths: readonly PathRow[]): Family[] {
  const each = over(paths.map((row) => ({ labels: { path: row.path }, row })));
  const down = '0: its source could not be had when it was asked last.';
  return [
    each(gauge, 'path_up', down, ({ trouble }) => (trouble === null ? 1 : 0)),
    each(gauge, 'path_streams', 'Streams that are open.', ({ streams }) => streams),
    each(gauge, 'path_viewers', 'Sessions of viewers.', ({ viewers }) => viewers),
    each(counter, 'sent_packets', 'RTP packets, to all viewers.', ({ packets }) => packets),
    each(counter, 'sent_bytes', 'UDP payload of these.', ({ bytes }) => bytes),
    each(counter, 'unsent_packets', 'Copies for viewers that were not sent.', ({ drops }) => drops),
  ];
}

/** Of several of one name newcomers join one: that one is told of. */
function shared(rows: readonly StreamRow[]): StreamRow[] {
  return [...new Map(rows.filter(({ open }) => open).map((row) => [row.path, row])).values()];
}

function ofStreams(streams: readonly StreamRow[]): Family[] {
  const each = over(shared(streams).map((row) => ({ labels: { stream: row.path }, row })));
  const playing = '1: its source has been asked to play, and has agreed.';
  const lost = '1: its source was lost, and is asked again.';
  return [
    each(gauge, 'stream_playing', playing, ({ state }) => Number(state === 'playing')),
    each(gauge, 'stream_reconnecting', lost, ({ state }) => Number(state === 'reconnecting')),
    each(gauge, 'stream_viewers', 'Sessions of viewers.', ({ viewers }) => viewers),
  ];
}

function ofTracks(streams: readonly StreamRow[]): Family[] {
  const each = over(
    shared(streams).flatMap(({ path: stream, tracks }) =>
      tracks.map((row, index) => ({ labels: { stream, track: String(index), media: row.media }, row })),
    ),
  );
  const lost = 'Expected minus received (RFC 3550 A.3); duplicates make it negative.';
  const jitter = 'Interarrival jitter on the way from the source.';
  const trip = 'Between the proxy and the source.';
  return [
    each(counter, 'received_packets', 'RTP packets from the source.', ({ packets }) => packets),
    each(counter, 'received_bytes', 'UDP payload of these.', ({ bytes }) => bytes),
    each(gauge, 'received_lost_packets', lost, (track) => track.lost),
    each(gauge, 'received_jitter_seconds', jitter, ({ jitterMs }) => seconds(jitterMs)),
    each(gauge, 'source_round_trip_seconds', trip, ({ roundTripMs }) => seconds(roundTripMs)),
  ];
}

/** What viewers' last reports say, as quantiles over the viewers of a stream. */
function ofViewers(reports: readonly ReportRow[]): Family[] {
  const groups = new Map<string, ReportRow[]>();
  for (const report of reports) {
    const key = JSON.stringify([report.stream, report.media]);
    const group = groups.get(key);
    if (group) group.push(report);
    else groups.set(key, [report]);
  }
  const each = (name: string, help: string, value: (report: ReportRow) => number | null): Family =>
    gauge(
      name,
      help,
      [...groups.values()].flatMap((group) => {
        const { stream, media } = group[0]!;
        const values = group.flatMap((report) => value(report) ?? []).sort((a, b) => a - b);
        return quantiles(values).map(({ quantile, value }) => ({
          labels: { stream, media, quantile },
          value,
        }));
      }),
    );
  const loss = 'Lost on the way to viewers, by their last reports, 0 to 1.';
  const jitter = 'Interarrival jitter on the way to viewers.';
  const trip = 'Between the proxy and viewers.';
  return [
    each('viewer_loss_ratio', loss, ({ fraction }) => fraction),
    each('viewer_jitter_seconds', jitter, ({ jitterMs }) => seconds(jitterMs)),
    each('viewer_round_trip_seconds', trip, ({ roundTripMs }) => seconds(roundTripMs)),
  ];
}

function quantiles(sorted: readonly number[]): { quantile: string; value: number }[] {
  if (sorted.length === 0) return [];
  return QUANTILES.map((quantile) => ({
    quantile: String(quantile),
    value: sorted[Math.ceil(quantile * sorted.length) - 1]!,
  }));
}

function seconds(milliseconds: number | null): number | null {
  return milliseconds === null ? null : milliseconds / 1000;
}
