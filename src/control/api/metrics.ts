// SPDX-License-Identifier: Apache-2.0
// What is going on, as families for Prometheus. Counters are of paths of the configuration and of streams, never of single
// viewers: thousands of them, each with series of its own, would be more than a server of metrics likes. docs/metrics.md has
// what to ask for.

import type { Family, Sample } from './exposition.js';
import type { PathRow, ProxyView, ReportRow, StatusRow, StreamRow, StreamTrackRow } from './types.js';

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
    counter('cpu_seconds', "Processor time of the proxy's process, without what the kernel does for it.", [
      { value: (user + system) / 1e6 },
    ]),
    gauge('resident_bytes', "Memory of the proxy's process.", [{ value: process.memoryUsage.rss() }]),
  ];
}

function ofPaths(rows: readonly PathRow[]): Family[] {
  const each = (value: (row: PathRow) => number): Sample[] =>
    rows.map((row) => ({ labels: { path: row.path }, value: value(row) }));
  return [
    gauge(
      'path_up',
      '0: its source could not be had when it was asked last.',
      each((row) => (row.trouble === null ? 1 : 0)),
    ),
    gauge(
      'path_streams',
      'Streams that are open.',
      each((row) => row.streams),
    ),
    gauge(
      'path_viewers',
      'Sessions of viewers.',
      each((row) => row.viewers),
    ),
    counter(
      'sent_packets',
      'RTP packets, to all viewers.',
      each((row) => row.packets),
    ),
    counter(
      'sent_bytes',
      'UDP payload of these.',
      each((row) => row.bytes),
    ),
    counter(
      'unsent_packets',
      'Copies for viewers that were not sent.',
      each((row) => row.drops),
    ),
  ];
}

/** Of several of one name newcomers join one: that one is told of. */
function shared(rows: readonly StreamRow[]): StreamRow[] {
  return [...new Map(rows.filter(({ open }) => open).map((row) => [row.path, row])).values()];
}

function ofStreams(rows: readonly StreamRow[]): Family[] {
  const each = (value: (row: StreamRow) => number): Sample[] =>
    shared(rows).map((row) => ({ labels: { stream: row.path }, value: value(row) }));
  return [
    gauge(
      'stream_playing',
      '1: its source has been asked to play, and has agreed.',
      each(({ state }) => (state === 'playing' ? 1 : 0)),
    ),
    gauge(
      'stream_reconnecting',
      '1: its source was lost, and is asked again.',
      each(({ state }) => (state === 'reconnecting' ? 1 : 0)),
    ),
    gauge(
      'stream_viewers',
      'Sessions of viewers.',
      each(({ viewers }) => viewers),
    ),
  ];
}

function ofTracks(rows: readonly StreamRow[]): Family[] {
  const tracks = shared(rows).flatMap(({ path: stream, tracks }) =>
    tracks.map((track, index) => ({ labels: { stream, track: String(index), media: track.media }, track })),
  );
  const each = (value: (track: StreamTrackRow) => number | null): Sample[] =>
    tracks.flatMap(({ labels, track }) => {
      const known = value(track);
      return known === null ? [] : [{ labels, value: known }];
    });
  return [
    counter(
      'received_packets',
      'RTP packets from the source.',
      each(({ packets }) => packets),
    ),
    counter(
      'received_bytes',
      'UDP payload of these.',
      each(({ bytes }) => bytes),
    ),
    gauge(
      'received_lost_packets',
      'Expected minus received (RFC 3550 A.3); duplicates make it negative.',
      each(({ lost }) => lost),
    ),
    gauge(
      'received_jitter_seconds',
      'Interarrival jitter on the way from the source.',
      each(({ jitterMs }) => seconds(jitterMs)),
    ),
    gauge(
      'source_round_trip_seconds',
      'Between the proxy and the source.',
      each(({ roundTripMs }) => seconds(roundTripMs)),
    ),
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
  const each = (value: (report: ReportRow) => number | null): Sample[] =>
    [...groups.values()].flatMap((group) => {
      const { stream, media } = group[0]!;
      const values = group.flatMap((report) => value(report) ?? []).sort((a, b) => a - b);
      return quantiles(values).map(({ quantile, value }) => ({ labels: { stream, media, quantile }, value }));
    });
  return [
    gauge(
      'viewer_loss_ratio',
      'Lost on the way to viewers, by their last reports, 0 to 1.',
      each(({ fraction }) => fraction),
    ),
    gauge(
      'viewer_jitter_seconds',
      'Interarrival jitter on the way to viewers.',
      each(({ jitterMs }) => seconds(jitterMs)),
    ),
    gauge(
      'viewer_round_trip_seconds',
      'Between the proxy and viewers.',
      each(({ roundTripMs }) => seconds(roundTripMs)),
    ),
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
